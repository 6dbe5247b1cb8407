"""The peers of `peers.py`, each a whole program: decode, network, encode.

    python benchmarks/peer_loops.py NAME IN.mp4 OUT.mp4 MODEL.onnx

All do the same work: grey levels by the frame's own percentiles, the network at 256x192, bicubic
enlargement, H.264 with the settings of `ladle-rt video`. Prints JSON: frames, and percentiles of
the time from a decoded frame to the picture handed to the encoder.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

SIZE = (256, 192)
"""Width and height of the network's input."""
ENCODER = {"preset": "veryfast", "crf": "19"}
STREAMS = 2
Bytes = npt.NDArray[np.uint8]
Run = Callable[[Any], Any]
"""float32 [1,1,192,256] to [1,3,192,256]."""


def to_input(gray: Bytes) -> npt.NDArray[np.float32]:
    """HxW uint8 to the network's input."""
    small = cv2.resize(gray, SIZE, interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (0.5, 99.5))
    unit = np.clip((small - low) / max(high - low, 1), 0, 1).astype(np.float32)
    return unit[None, None]


def to_picture(output: Any, width: int, height: int) -> Bytes:
    """The network's output to HxWx3 uint8 RGB of the frame's size."""
    rgb = (output[0].transpose(1, 2, 0) * 255).clip(0, 255).astype(np.uint8)
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)


def translate(gray: Bytes, run: Run) -> Bytes:
    """One frame."""
    return to_picture(run(to_input(gray)), gray.shape[1], gray.shape[0])


def onnxruntime_run(model: str, threads: int) -> Run:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda thermal: session.run(["rgb"], {"thermal": thermal})[0]


def openvino_compiled(model: str, hints: dict[str, Any]) -> Any:
    """A model in OpenVINO, in fp32 as everywhere else: it would take bfloat16 where it can."""
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", **hints}
    graph = core.read_model(model)
    graph.reshape([1, 1, SIZE[1], SIZE[0]])
    return core.compile_model(graph, "CPU", hints)


def openvino_run(model: str) -> Run:
    """OpenVINO for the latency of one frame."""
    request = openvino_compiled(model, {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
    return lambda thermal: request.infer([thermal])[0]


def torch_run(model: str, compiled: bool) -> Run:
    """torch on the CPU with as many threads as it likes, eager or by `torch.compile`."""
    import torch

    from ladle_rt.models.weights import load_model

    module = load_model(Path(model).with_suffix(".safetensors"))[0].eval()
    module = module.to(memory_format=torch.channels_last)
    if compiled:
        module = torch.compile(module)

    def run(thermal: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(thermal)).numpy()

    run(np.zeros((1, 1, SIZE[1], SIZE[0]), np.float32))
    return run


class Encoder:
    """H.264, as `ladle-rt video` writes it."""

    def __init__(self, path: str, rate: Fraction, width: int, height: int) -> None:
        self._container = av.open(path, "w")
        self._stream = self._container.add_stream("libx264", rate, options=ENCODER)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"

    def write(self, rgb: Bytes) -> None:
        """Encode one picture."""
        self.write_frame(av.VideoFrame.from_ndarray(rgb, format="rgb24"))

    def write_frame(self, frame: av.VideoFrame) -> None:
        """Encode a picture in any pixel format."""
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush and close."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def read_cv2(source: str) -> tuple[Fraction, Iterator[Bytes]]:
    """Rate and grey frames by OpenCV."""
    capture = cv2.VideoCapture(source)
    rate = Fraction(capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)

    def frames() -> Iterator[Bytes]:
        while True:
            more, image = capture.read()
            if not more:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)

    return rate, frames()


def read_av(source: str) -> tuple[Fraction, Iterator[Bytes]]:
    """Rate and grey frames by PyAV, decoded on several threads."""
    container = av.open(source)
    container.streams.video[0].thread_type = "AUTO"
    frames = (frame.to_ndarray(format="gray") for frame in container.decode(video=0))
    return Fraction(container.streams.video[0].average_rate), frames


def sequential(reader: Any, run: Run, source: str, target: str) -> list[float]:
    """Read, run, write, one after another; milliseconds of each frame."""
    rate, frames = reader(source)
    encoder, times = None, []
    for gray in frames:
        begin_s = time.perf_counter()
        picture = translate(gray, run)
        times.append((time.perf_counter() - begin_s) * 1e3)
        encoder = encoder or Encoder(target, rate, gray.shape[1], gray.shape[0])
        encoder.write(picture)
    assert encoder is not None, "a clip has frames"
    encoder.close()
    return times


def two_streams(model: str, source: str, target: str) -> list[float]:
    """The design of vs-mlrt: a frame server's threads feed several streams of one engine.

    Frames are decoded ahead, computed by as many requests as there are streams, and handed on in
    order; decoding and encoding have a thread each.
    """
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": STREAMS}
    compiled = openvino_compiled(model, hints)
    rate, frames = read_av(source)
    decoded: queue.Queue[Any] = queue.Queue(2 * STREAMS)
    pictures: queue.Queue[Any] = queue.Queue(2 * STREAMS)
    finished: dict[int, tuple[float, Bytes]] = {}
    changed = threading.Condition()
    count: list[int] = []

    def decode() -> None:
        number = 0
        for gray in frames:
            decoded.put((number, time.perf_counter(), gray))
            number += 1
        count.append(number)
        for _ in range(STREAMS):
            decoded.put(None)

    def compute() -> None:
        request = compiled.create_infer_request()
        while (item := decoded.get()) is not None:
            number, begin_s, gray = item
            picture = translate(gray, lambda thermal: request.infer([thermal])[0])
            with changed:
                finished[number] = begin_s, picture
                changed.notify_all()

    def encode() -> None:
        encoder = None
        while (picture := pictures.get()) is not None:
            encoder = encoder or Encoder(target, rate, picture.shape[1], picture.shape[0])
            encoder.write(picture)
        assert encoder is not None, "a clip has frames"
        encoder.close()

    workers = [threading.Thread(target=compute) for _ in range(STREAMS)]
    others = [threading.Thread(target=decode), threading.Thread(target=encode)]
    for thread in (*workers, *others):
        thread.start()
    times, number = [], 0
    while not count or number < count[0]:
        with changed:
            if not changed.wait_for(lambda wanted=number: wanted in finished, 0.05):
                continue
            begin_s, picture = finished.pop(number)
        times.append((time.perf_counter() - begin_s) * 1e3)
        pictures.put(picture)
        number += 1
    pictures.put(None)
    for thread in (*workers, *others):
        thread.join()
    return times


def vapoursynth_video(engine: str, model: str, source: str, target: str) -> list[float]:
    """VapourSynth with vs-mlrt: its own reader, resizing, threads, and an engine of two streams.

    Levels are numpy's, as of all others; a frame's time begins with them, behind its decoding and
    shrinking.
    """
    import vapoursynth as vs

    core = vs.core
    clip = core.lsmas.LibavSMASHSource(source)
    small = core.resize.Bilinear(clip, *SIZE, format=vs.GRAYS, range=vs.RANGE_FULL)
    begun: dict[int, float] = {}

    def levels(n: int, f: Any) -> Any:
        begun[n] = time.perf_counter()
        stretched = f.copy()
        gray = np.asarray(f[0]) * 255
        low, high = np.percentile(gray, (0.5, 99.5))
        np.copyto(np.asarray(stretched[0]), np.clip((gray - low) / max(high - low, 1), 0, 1))
        return stretched

    stretched = core.std.ModifyFrame(small, small, levels)
    options: dict[str, Any] = {"num_streams": STREAMS}
    if engine == "ov":
        options |= {"device": "CPU", "config": lambda: {"INFERENCE_PRECISION_HINT": "f32"}}
    else:
        options |= {"provider": "CPU"}
    rgb = getattr(core, engine).Model([stretched], network_path=model, **options)
    # The props still say that they are a YUV frame.
    rgb = core.std.SetFrameProps(rgb, _Matrix=vs.MATRIX_RGB, _Range=vs.RANGE_FULL)
    pictures = core.resize.Bicubic(
        rgb, clip.width, clip.height, format=vs.YUV420P8, matrix=vs.MATRIX_BT709
    )
    encoder = Encoder(target, Fraction(clip.fps), clip.width, clip.height)
    times = []
    for number, picture in enumerate(pictures.frames(close=True)):
        times.append((time.perf_counter() - begun.pop(number)) * 1e3)
        planes = np.concatenate([np.asarray(plane).ravel() for plane in picture])
        yuv = planes.reshape(clip.height * 3 // 2, clip.width)
        encoder.write_frame(av.VideoFrame.from_ndarray(yuv, format="yuv420p"))
    encoder.close()
    return times


def supervision_video(model: str, source: str, target: str) -> list[float]:
    """supervision's `process_video` with its own reader, writer (mp4v) and threads."""
    import supervision

    run, times = onnxruntime_run(model, 2), []

    def callback(image: Any, _: int) -> Any:
        begin_s = time.perf_counter()
        rgb = translate(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), run)
        times.append((time.perf_counter() - begin_s) * 1e3)
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)

    supervision.process_video(source, target, callback)
    return times


def ours(model: str, source: str, target: str, extras: bool) -> list[float] | dict[str, float]:
    """`ladle-rt video` as a library; without extras it does the peers' work and no more."""
    from ladle_rt.api import translate_video
    from ladle_rt.config import TranslateOptions

    plain: dict[str, Any] = {
        "smoothing_s": 0,
        "steady": 0,
        "shutter": False,
        "drift_warning": False,
        "sound": False,
    }
    options = TranslateOptions(size=SIZE[::-1], **({} if extras else plain))
    done = translate_video(source, target, model=model, options=options, backend="onnxruntime")
    found = done.statistics.latency_ms
    return {"frames": done.statistics.presented, "p50_ms": found.p50, "p95_ms": found.p95}


LOOPS: dict[str, Callable[[str, str, str], list[float] | dict[str, float]]] = {
    "ours": lambda model, *files: ours(model, *files, extras=False),
    "ours-extras": lambda model, *files: ours(model, *files, extras=True),
    "naive": lambda model, *files: sequential(read_cv2, onnxruntime_run(model, 2), *files),
    "pyav": lambda model, *files: sequential(read_av, onnxruntime_run(model, 2), *files),
    "openvino": lambda model, *files: sequential(read_av, openvino_run(model), *files),
    "openvino-streams": two_streams,
    "vapoursynth-ort": lambda model, *files: vapoursynth_video("ort", model, *files),
    "vapoursynth-ov": lambda model, *files: vapoursynth_video("ov", model, *files),
    "torch": lambda model, *files: sequential(read_av, torch_run(model, False), *files),
    "torch-compiled": lambda model, *files: sequential(read_av, torch_run(model, True), *files),
    "supervision": supervision_video,
}


def main() -> None:
    """Run one peer and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=list(LOOPS))
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("model")
    given = parser.parse_args()
    cv2.setNumThreads(2)
    found = LOOPS[given.name](given.model, given.source, given.target)
    if isinstance(found, list):
        late = deque(found, maxlen=max(1, len(found) - 2))  # the first ones warm up
        p50, p95 = np.percentile(late, (50, 95))
        found = {"frames": len(found), "p50_ms": float(p50), "p95_ms": float(p95)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

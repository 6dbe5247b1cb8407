"""CPU seconds of decoding, of the network and of encoding, each alone.

    python benchmarks/floor_cpu.py CLIP.mp4 TRANSLATED.mp4 MODEL.onnx WIDTHxHEIGHT

Prints JSON. A process of its own, so that the memory it needs is not charged to anybody else.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import onnxruntime

NETWORK_FRAMES = 100
"""Frames the network's CPU time is measured on; the rest is proportional."""


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of all threads of this process while ``work`` runs."""
    start = time.process_time()
    work()
    return time.process_time() - start


def decode(clip: str) -> list[av.VideoFrame]:
    """All frames of a clip."""
    with av.open(clip) as container:
        return list(container.decode(video=0))


def encode(frames: list[av.VideoFrame], target: Path) -> None:
    """Encode frames with the settings of `ladle-rt video`."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", 30, options={"preset": "veryfast", "crf": "19"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for frame in frames:
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(clip: str, translated: str, model: str, size: str) -> None:
    """Measure and print; ``size`` is the network's."""
    width, height = (int(side) for side in size.split("x"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    thermal = np.random.default_rng(0).random((1, 1, height, width), dtype=np.float32)
    session.run(None, {"thermal": thermal})

    def network() -> None:
        for _ in range(NETWORK_FRAMES):
            session.run(None, {"thermal": thermal})

    pictures = decode(translated)
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "frames": len(pictures),
            "decode_s": cpu_seconds(lambda: decode(clip)),
            "network_s": cpu_seconds(network) * len(pictures) / NETWORK_FRAMES,
            "encode_s": cpu_seconds(lambda: encode(pictures, Path(folder, "floor.mp4"))),
        }
    print(json.dumps(parts))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Small real files of every kind that an entrance reads, made here."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.thermal.normalization import ThermalNormalization

Seed = tuple[str, bytes]
"""Name, whose ending says the kind, and content."""
SDP = b"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=thermal
c=IN IP4 127.0.0.1
t=0 0
m=video %d RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAH5WoFAFuQA==,aM48gA==
a=control:streamid=0
"""
"""With a port; nobody sends there."""
CODECS = (
    ("mp4", "libx264", "yuv420p"), ("mkv", "ffv1", "gray16le"), ("ts", "mpeg2video", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"), ("mov", "png", "gray16be"), ("webm", "libvpx", "yuv420p"),
    ("y4m", "rawvideo", "gray"), ("flv", "flv", "yuv420p"), ("mkv", "rawvideo", "gray16le"),
)  # fmt: skip


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    """HxW uint16 counts with structure."""
    rows, columns = np.mgrid[:height, :width]
    return (7000 + 40 * rows + 9 * columns + 300 * ((rows - 20) ** 2 < 30)).astype(np.uint16)


def images(folder: Path) -> list[Seed]:
    """One of each kind of still, stack and animation."""
    deep = scene()
    eight = (deep >> 5).astype(np.uint8)
    colour = cv2.applyColorMap(eight, cv2.COLORMAP_INFERNO)
    found: list[Seed] = []
    for name, picture in (
        ("deep.png", deep), ("eight.png", eight), ("colour.png", colour),
        ("alpha.png", np.dstack([eight] * 4)), ("one.jpg", eight), ("one.bmp", eight),
        ("one.pgm", deep), ("one.tif", deep), ("float.tif", deep.astype(np.float32) / 100),
        ("one.jp2", deep), ("one.webp", eight), ("colour.tif", colour),
    ):  # fmt: skip
        done, data = cv2.imencode(Path(name).suffix, picture)
        assert done
        found.append((name, data.tobytes()))
    cv2.imwritemulti(str(folder / "stack.tif"), [deep, deep + 50, deep + 90])
    found.append(("stack.tif", (folder / "stack.tif").read_bytes()))
    frames = [Image.fromarray(eight + np.uint8(10 * n)) for n in range(3)]
    for ending in ("gif", "webp"):
        frames[0].save(folder / f"many.{ending}", save_all=True, append_images=frames[1:])
        found.append((f"many.{ending}", (folder / f"many.{ending}").read_bytes()))
    for name, array in (("one.npy", deep), ("many.npy", np.stack([deep] * 3))):
        np.save(folder / name, array)
        found.append((name, (folder / name).read_bytes()))
    flir = fff(deep)
    jpeg = dict(found)["one.jpg"]
    segment = b"FLIR\0\x01\0\0" + flir
    marker = b"\xff\xe1" + struct.pack(">H", len(segment) + 2)
    found += [
        ("one.fff", flir), ("many.seq", flir * 2), ("one.y16", deep.tobytes()),
        ("flir.jpg", jpeg[:2] + marker + segment + jpeg[2:]),
        ("exif.jpg", exif_jpeg(eight, folder)),
    ]  # fmt: skip
    return found


def exif_jpeg(eight: np.ndarray, folder: Path) -> bytes:
    """A JPEG that says when, how and where it was taken."""
    image, exif = Image.fromarray(eight), Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 15.0)
    image.save(folder / "exif.jpg", exif=exif)
    return (folder / "exif.jpg").read_bytes()


def fff(counts: np.ndarray) -> bytes:
    """A FLIR block with one raw record."""
    height, width = counts.shape
    raw = struct.pack("<HHH26x", 2, width, height) + counts.astype("<u2").tobytes()
    header = b"FFF\0GEN".ljust(20, b"\0") + struct.pack("<III", 101, 64, 1)
    return header.ljust(64, b"\0") + struct.pack("<H10xII12x", 1, 96, len(raw)) + raw


def videos(folder: Path) -> list[Seed]:
    """Eight frames in several containers and codecs; what this FFmpeg lacks is left out."""
    found = []
    for number, (ending, codec, pixels) in enumerate(CODECS):
        path = folder / f"{number}-{codec}.{ending}"
        try:
            with av.open(str(path), "w") as container:
                stream: Any = container.add_stream(codec, rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
                for index in range(8):
                    kind = "gray16le" if "16" in pixels else "gray"
                    counts = scene() + np.uint16(30 * index)
                    plane = counts if "16" in pixels else (counts >> 6).astype(np.uint8)
                    frame = av.VideoFrame.from_ndarray(plane, kind)
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                    container.mux(stream.encode(frame.reformat(format=pixels)))
                container.mux(stream.encode())
        except (av.FFmpegError, ValueError):
            continue
        found.append((path.name, path.read_bytes()))
    return found


def network() -> bytes:
    """A translation network of one convolution, as ONNX."""
    of = helper.make_tensor_value_info
    weights = {"weight": np.full((3, 1, 3, 3), 0.1, np.float32), "bias": np.zeros(3, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["thermal", "weight", "bias"], ["linear"], pads=[1, 1, 1, 1]),
            helper.make_node("Resize", ["linear", "", "scales"], ["large"], mode="nearest"),
            helper.make_node("AveragePool", ["large"], ["small"], kernel_shape=[2, 2],
                             strides=[2, 2]),
            helper.make_node("Sigmoid", ["small"], ["rgb"]),
        ],
        "fuzzed",
        [of("thermal", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [of("rgb", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [*(numpy_helper.from_array(array, name) for name, array in weights.items()),
         numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


INFO = ModelInfo(
    name="fuzzed", architecture="ladlenet", config={}, thermal=ThermalNormalization(),
    train_size=(64, 96), size_multiple=32, parameters=30, macs=1, training={}, metrics={},
    onnx_sha256="",
)  # fmt: skip


def model_json() -> bytes:
    """A model's facts."""
    return replace(INFO, training={"steps": 3}, onnx_sha256="ab" * 32).to_json().encode()


def plan_manifest() -> bytes:
    """A plan's facts."""
    shapes = [[[1, 1, 64, 96]] * 3]
    plan = PlanManifest(
        model=INFO.facts(), onnx_sha256="ab" * 32, precision="int8", flavour="tensorrt",
        version="11.0", profiles=shapes, flags={"a": 1}, device={"targets": ["sm89"]},
        calibration_sha256="cd" * 32, layers=[{"name": "conv"}],
    )  # fmt: skip
    return json.dumps(asdict(plan), indent=1).encode()


def calibration_manifest() -> bytes:
    """The manifest of a set without frames."""
    values = {
        "schema": 1, "model": "tiny", "onnx_sha256": "ab" * 32, "method": "kl",
        "network_size": [64, 96], "ranges_sha256": "", "frames": [{"name": "a"}], "held_out": [],
        "held_out_files": {},
    }  # fmt: skip
    return json.dumps(values, indent=1).encode()


def benchmark_report() -> bytes:
    """A report with one measured case."""
    case = {
        "model": "tiny", "model_sha256": "ab" * 32, "precision": "fp32", "backend": "onnxruntime",
        "device": "cpu", "size": [64, 96], "status": "measured", "reason": "", "rounds": 3,
        "figures": {"idle_p50_ms": [1.0, 2.0, 3.0]}, "stages_ms": {"p50": {"a": [1, 2, 3]}},
        "samples_ms": {"idle": [[1.5, 2.5], [2.0]]},
    }  # fmt: skip
    values = {
        "schema": 2, "complete": True, "thermal_jpeg": "",
        "provenance": {"machine": {"cpu": "x"}},
        "settings": {"frame_size": [64, 96]}, "cases": [case],
    }  # fmt: skip
    return json.dumps(values, indent=1).encode()


LAYERS = json.dumps({
    "Layers": [
        {"Name": "conv", "LayerType": "Convolution", "TacticName": "t",
         "Outputs": [{"Name": "x", "Format/Datatype": "Half NHWC"}]},
        "bare name",
    ]
}).encode()  # fmt: skip

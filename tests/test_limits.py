"""Small files that ask for all memory or for ever end in one line, soon."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ladle_rt.benchmark.benchmark_report import read_report
from ladle_rt.cli import cli
from ladle_rt.datasets.lists import read_image_list
from ladle_rt.datasets.read_image import pixel_limit
from ladle_rt.engines.calibration.calibration_set import MANIFEST, CalibrationSet
from ladle_rt.engines.plan.layers import parse_layers
from ladle_rt.errors import InputError, LadleError
from ladle_rt.models.artifact import ModelInfo, file_sha256, load_artifact
from ladle_rt.sources.stills import stack_pages
from ladle_rt.sources.stills.decode import decode_pictures
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.translate import model_limits
from ladle_rt.translate.onnxruntime_backend import OnnxRuntimeNetwork
from ladle_rt.translate.select import load_network

ADDRESSES = 6 << 30
"""Bytes of address space that a command is given; libraries take a part of it."""
SECONDS = 60
"""Of processor time, importing included; a refusal takes two."""
RESIDENT_KB = 1 << 20
"""Memory that a refused file may cost."""
SIDE = 60_000
"""Of pictures that would take 3.6 GB, and coloured ones 10.8 GB."""


MEASURE = """
import os, resource, subprocess, sys
addresses, seconds, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (int(addresses),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(seconds),) * 2)
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""
"""A small program between: the kernel counts the memory of whoever forks to the child's peak."""


def limited(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a command with bounded memory and processor time."""
    bounds = [sys.executable, "-S", "-c", MEASURE, str(ADDRESSES), str(SECONDS)]
    done = subprocess.run(
        [*bounds, sys.executable, "-m", "ladle_rt", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    code, peak_kb = (int(number) for number in done.stdout.split())
    assert "Traceback" not in done.stderr
    assert peak_kb < RESIDENT_KB, f"{peak_kb >> 10} MB"
    return code, done.stderr


def zeros(rows: int, row: int) -> bytes:
    """Deflated zeros, of which a thousandth is left."""
    packer = zlib.compressobj(1)
    block = bytes(row)
    return b"".join(packer.compress(block) for _ in range(rows)) + packer.flush()


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = pixel_limit() // 8192 + 1
    head = struct.pack(">IIBBBBB", 8192, rows, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zeros(rows, 8193)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg() -> bytes:
    sof = struct.pack(">HBHHB", 17, 8, SIDE, SIDE, 3) + bytes((1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0))
    quantiser = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
    return b"\xff\xd8" + quantiser + b"\xff\xc0" + sof + scan + bytes(1000) + b"\xff\xd9"


def gif() -> bytes:
    size = struct.pack("<HH", SIDE, SIDE)
    screen = b"GIF89a" + size + b"\xf0\x00\x00" + bytes(6)
    return screen + b"," + bytes(4) + size + b"\x00\x02\x02\x4c\x01\x00;"


def webp() -> bytes:
    bits = 16382 | 16382 << 14
    frame = b"\x2f" + struct.pack("<I", bits) + bytes(200)
    body = b"WEBPVP8L" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(tile: int = 0) -> bytes:
    """One strip, or one tile of a picture of 64x64."""
    side = 64 if tile else SIDE
    data = zeros(1000, SIDE)
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    if tile:
        tags += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data))]
    else:
        tags += [(273, 4, 8), (278, 4, side), (279, 4, len(data))]
    tags.sort()
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_pictures_that_unfold_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    bombs = {
        "a.png": png(), "b.jpg": jpeg(), "c.gif": gif(), "d.webp": webp(), "e.tif": tiff(),
        "f.tif": tiff(SIDE),
    }  # fmt: skip
    for name, data in bombs.items():
        assert len(data) < 2_000_000
        (tmp_path / name).write_bytes(data)
    engine = ["--model", str(tiny_model), "--backend", "onnxruntime"]
    code, stderr = limited(tmp_path, "image", *bombs, "/dev/zero", "-o", "out", *engine)
    assert code == 1
    told = [line for line in stderr.splitlines() if line.startswith("ladle-rt: error: ")]
    assert len(told) == len(bombs) + 2, stderr
    for name, line in zip(bombs, told, strict=False):
        assert name in line and ": expected " in line, line
    assert sum("received a larger one" in line for line in told) >= 2, told
    assert "/dev/zero: expected an image file, received no regular file" in told[-2]


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "o.mp4", "--size", "1000000x1000000"],
        ["sample", "o.mp4", "--size", "9" * 5000 + "x2"],
        ["sample", "o.mp4", "--size", "0x64"],
        ["video", "i.mp4", "o.mp4", "--quality", "100000x100000"],
        ["image", "i.png", "-o", "o", "--quality", "4096x64"],
        ["evaluate", "--data", ".", "--size", "50000x50000"],
        ["build-engine", "--size", "100000x100000"],
        ["benchmark", "--size", "100000x100000"],
        ["calibrate", "--data", ".", "-o", "o", "-n", "1000000000"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_sizes_are_bounded(words: list[str]) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2 or isinstance(done.exception, LadleError), done.output
    assert len(done.stderr) < 8000


def hostile(path: Path, make_model: Callable[..., Path], kind: str) -> Path:
    """A model whose picture is multiplied with what a node makes of 10 GB, or of a long loop."""
    make_model(path)
    model = onnx.load(path)
    graph = model.graph
    if kind == "memory":
        graph.initializer.append(numpy_helper.from_array(np.array([2_500_000_000]), "many"))
        added = [
            helper.make_node("ConstantOfShape", ["many"], ["big"]),
            helper.make_node("ReduceMax", ["big"], ["factor"], keepdims=0),
        ]
    else:
        of = helper.make_tensor_value_info
        body = helper.make_graph(
            [helper.make_node("Identity", ["on"], ["on_still"]),
             helper.make_node("Identity", ["x"], ["x_next"])],
            "body",
            [of("i", TensorProto.INT64, []), of("on", TensorProto.BOOL, []),
             of("x", TensorProto.FLOAT, [])],
            [of("on_still", TensorProto.BOOL, []), of("x_next", TensorProto.FLOAT, [])],
        )  # fmt: skip
        graph.initializer.append(numpy_helper.from_array(np.array(2**62), "times"))
        graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
        added = [helper.make_node("Loop", ["times", "", "one"], ["factor"], body=body)]
    (last,) = [node for node in graph.node if node.output[0] == "rgb"]
    last.output[0] = "clean"
    graph.node.extend([*added, helper.make_node("Mul", ["clean", "factor"], ["rgb"])])
    save(model, path)
    return path


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model whose JSON lies there already."""
    onnx.save(model, str(path))
    facts = path.with_suffix(".json")
    info = ModelInfo.from_json(facts.read_text(), "test")
    facts.write_text(replace(info, onnx_sha256=file_sha256(path)).to_json())


@pytest.mark.parametrize("kind", ["memory", "loop"])
def test_models_that_never_end_are_refused(
    kind: str, tmp_path: Path, make_model: Callable[..., Path], tiny_frame: Path
) -> None:
    model = hostile(tmp_path / "m.onnx", make_model, kind)
    engine = ["--model", str(model), "--backend", "onnxruntime"]
    code, stderr = limited(tmp_path, "image", str(tiny_frame), "-o", "out", *engine)
    assert code == 1
    line = stderr.splitlines()[-1]
    expected = "received the operator Loop" if kind == "loop" else "the graph does not run: "
    assert expected in line, stderr


def test_the_memory_of_networks_is_bounded_without_the_system(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    with pytest.raises(LadleError, match=r"the graph does not run: .*memory"):
        load_network(load_artifact(hostile(tmp_path / "m.onnx", make_model, "memory")))


def slow(path: Path, make_model: Callable[..., Path], nodes: int = 500) -> Path:
    """A model with a chain of nodes on a large tensor before its picture."""
    make_model(path)
    model = onnx.load(path)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.float32([1, 1, 8, 8]), "large"))
    (first,) = [node for node in graph.node if "thermal" in node.input]
    names = [f"x{number}" for number in range(nodes + 1)]
    chain = [helper.make_node("Resize", ["thermal", "", "large"], ["x0"], mode="nearest")]
    chain += [helper.make_node("Sin", [a], [b]) for a, b in itertools.pairwise(names)]
    chain += [helper.make_node("MaxPool", [names[-1]], ["back"], kernel_shape=[8, 8],
                               strides=[8, 8])]  # fmt: skip
    first.input[0] = "back"
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*chain, *kept])
    save(model, path)
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_network_that_takes_for_ever_is_refused(
    backend: str, tmp_path: Path, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
        # Its own bound, not that of ONNX Runtime, which is asked first.
        monkeypatch.setattr(OnnxRuntimeNetwork, "_probe", lambda self, thermal: np.resize(
            thermal, (1, 3, *thermal.shape[2:])))  # fmt: skip
    monkeypatch.setattr(model_limits, "PROBE_S", 0.05)
    artifact = load_artifact(slow(tmp_path / "m.onnx", make_model))
    begin_s = time.process_time()
    with pytest.raises(LadleError, match=r"the graph does not run: no picture within 0\.05 s"):
        load_network(artifact, backend)  # type: ignore[arg-type]
    assert time.process_time() - begin_s < 20


def test_openvino_is_not_given_what_takes_all_memory(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    pytest.importorskip("openvino")
    artifact = load_artifact(hostile(tmp_path / "m.onnx", make_model, "memory"))
    with pytest.raises(LadleError, match=r"the graph does not run: .*memory"):
        load_network(artifact, "openvino")


def test_animations_and_stacks_are_decoded_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side, count = 1000, 24
    page = np.zeros((side, side), np.uint8)
    frames = [Image.fromarray(page + np.uint8(number)) for number in range(count)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    cv2.imwritemulti(str(tmp_path / "b.tif"), [page] * count)
    monkeypatch.setattr(stack_pages, "PIXELS_AT_ONCE", 2 * side * side)
    for name in ("a.gif", "b.tif"):
        tracemalloc.start()
        found = sum(1 for _ in decode_pictures(tmp_path / name, ReadOptions()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found == count
        assert peak < 12 * side * side, (name, peak)


@pytest.mark.parametrize("name", ["a.gif", "b.webp", "c.npy", "d.y16"])
def test_pictures_beyond_the_limit_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = np.zeros((40, 50), np.uint16)
    path = tmp_path / name
    if name == "c.npy":
        np.save(path, page)
    elif name == "d.y16":
        path.write_bytes(page.tobytes())
    else:
        Image.fromarray(page.astype(np.uint8)).save(path)
    options = ReadOptions(raw_size=(50, 40))
    assert len(list(decode_pictures(path, options))) == 1
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "1999")
    with pytest.raises(InputError, match="at most 1999 pixels, received 50x40"):
        list(decode_pictures(path, options))


def test_a_limit_that_is_no_number_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint16))
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "many")
    with pytest.raises(LadleError, match="must be a number of pixels > 0, received 'many'"):
        list(decode_pictures(tmp_path / "a.npy", ReadOptions()))


@pytest.fixture
def tiny_frame(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "t.png"), np.arange(64, dtype=np.uint8).reshape(8, 8))
    return tmp_path / "t.png"


DEEP = "[" * 200_000


def calibration_set(folder: Path) -> object:
    (folder / MANIFEST).write_text(DEEP)
    return CalibrationSet.read(folder)


@pytest.mark.parametrize(
    "read",
    [
        calibration_set,
        lambda folder: parse_layers(DEEP),
        lambda folder: parse_layers('{"Layers": [{"Name": NaN}]}'),
        lambda folder: read_report(Path("/dev/zero")),
        lambda folder: read_image_list(Path("/dev/zero")),
    ],
    ids=["calibration", "layers", "layers-nan", "report", "list"],
)
def test_documents_are_read_within_bounds(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(LadleError) as caught:
        read(tmp_path)
    assert len(str(caught.value)) < 400


def test_facts_inside_a_graph_are_read_within_bounds(
    tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    path = make_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.metadata_props[0].value = DEEP
    save(model, path)
    with pytest.raises(LadleError, match="its own facts differ"):
        load_network(load_artifact(path))

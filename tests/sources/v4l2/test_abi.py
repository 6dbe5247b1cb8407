"""Numbers and structures against the system's own header."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ladle_rt.sinks import loopback_sink
from ladle_rt.sources.v4l2 import abi

PROGRAM = r"""
#include <linux/videodev2.h>
#include <stddef.h>
#include <stdio.h>
#define N(name) printf(#name " %llu\n", (unsigned long long)(unsigned)(name));
#define S(name) printf("sizeof " #name " %zu\n", sizeof(struct name));
#define O(name, field) printf(#name "." #field " %zu\n", offsetof(struct name, field));
int main(void) {
  N(VIDIOC_QUERYCAP) N(VIDIOC_ENUM_FMT) N(VIDIOC_S_FMT) N(VIDIOC_REQBUFS) N(VIDIOC_QUERYBUF)
  N(VIDIOC_QBUF) N(VIDIOC_DQBUF) N(VIDIOC_STREAMON) N(VIDIOC_STREAMOFF) N(VIDIOC_S_PARM)
  N(VIDIOC_ENUM_FRAMESIZES) N(V4L2_CAP_VIDEO_CAPTURE) N(V4L2_CAP_STREAMING)
  N(V4L2_CAP_DEVICE_CAPS) N(V4L2_CAP_VIDEO_OUTPUT) N(V4L2_BUF_FLAG_ERROR)
  N(V4L2_BUF_FLAG_TIMESTAMP_MASK) N(V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC) N(V4L2_FRMSIZE_TYPE_DISCRETE)
  N(V4L2_PIX_FMT_Y16) N(V4L2_PIX_FMT_Y16_BE) N(V4L2_PIX_FMT_GREY) N(V4L2_PIX_FMT_YUYV)
  N(V4L2_PIX_FMT_UYVY) N(V4L2_PIX_FMT_NV12) N(V4L2_PIX_FMT_MJPEG) N(V4L2_PIX_FMT_YUV420)
  S(v4l2_capability) S(v4l2_fmtdesc) S(v4l2_frmsizeenum) S(v4l2_format) S(v4l2_streamparm)
  S(v4l2_requestbuffers) S(v4l2_buffer)
  O(v4l2_capability, capabilities) O(v4l2_capability, device_caps) O(v4l2_fmtdesc, pixelformat)
  O(v4l2_frmsizeenum, discrete.width) O(v4l2_format, fmt.pix.width)
  O(v4l2_format, fmt.pix.bytesperline) O(v4l2_streamparm, parm.capture.timeperframe)
  O(v4l2_buffer, bytesused) O(v4l2_buffer, flags) O(v4l2_buffer, timestamp)
  O(v4l2_buffer, sequence) O(v4l2_buffer, memory) O(v4l2_buffer, m.offset) O(v4l2_buffer, length)
  return 0;
}
"""


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    if shutil.which("gcc") is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("no C compiler, or no header linux/videodev2.h")
    folder = tmp_path_factory.mktemp("abi")
    (folder / "abi.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-o", folder / "abi", folder / "abi.c"], check=True)
    out = subprocess.run([folder / "abi"], capture_output=True, text=True, check=True).stdout
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in out.splitlines()}


def offset(form: object, position: int, count: int) -> int:
    """Where a field lies: the one byte that a single set field changes first."""
    values: list[object] = [0] * count
    values[position] = 1
    packed = form.pack(*values)  # type: ignore[attr-defined]
    return next(at for at, byte in enumerate(packed) if byte)


def test_numbers(header: dict[str, int]) -> None:
    for name in (
        "QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON",
        "STREAMOFF", "S_PARM", "ENUM_FRAMESIZES",
    ):  # fmt: skip
        assert getattr(abi, name) == header[f"VIDIOC_{name}"], name
    for name in ("CAP_VIDEO_CAPTURE", "CAP_STREAMING", "CAP_DEVICE_CAPS", "BUF_FLAG_ERROR"):
        assert getattr(abi, name) == header[f"V4L2_{name}"], name
    assert abi.BUF_FLAG_TIMESTAMP_MASK == header["V4L2_BUF_FLAG_TIMESTAMP_MASK"]
    assert abi.BUF_FLAG_TIMESTAMP_MONOTONIC == header["V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC"]
    assert abi.FRMSIZE_DISCRETE == header["V4L2_FRMSIZE_TYPE_DISCRETE"]
    assert loopback_sink.VIDIOC_QUERYCAP == header["VIDIOC_QUERYCAP"]
    assert loopback_sink.VIDIOC_S_FMT == header["VIDIOC_S_FMT"]
    assert loopback_sink.CAP_VIDEO_OUTPUT == header["V4L2_CAP_VIDEO_OUTPUT"]
    assert loopback_sink.YUV420 == header["V4L2_PIX_FMT_YUV420"]


def test_formats(header: dict[str, int]) -> None:
    for name, key in (
        ("Y16", "Y16"), ("Y16-BE", "Y16_BE"), ("GREY", "GREY"), ("YUYV", "YUYV"), ("UYVY", "UYVY"),
        ("NV12", "NV12"), ("MJPG", "MJPEG"),
    ):  # fmt: skip
        assert abi.fourcc(name) == header[f"V4L2_PIX_FMT_{key}"]
        assert abi.name_of(abi.fourcc(name)) == name


def test_structures(header: dict[str, int]) -> None:
    sizes = {
        "v4l2_capability": abi.CAPABILITY, "v4l2_fmtdesc": abi.FMTDESC,
        "v4l2_frmsizeenum": abi.FRMSIZEENUM, "v4l2_format": abi.FORMAT,
        "v4l2_streamparm": abi.STREAMPARM, "v4l2_requestbuffers": abi.REQUESTBUFFERS,
        "v4l2_buffer": abi.BUFFER,
    }  # fmt: skip
    for name, form in sizes.items():
        assert form.size == header[f"sizeof {name}"], name
    assert loopback_sink.FORMAT.size == abi.FORMAT.size
    assert loopback_sink.CAPABILITY.size == abi.CAPABILITY.size
    for position, field in ((2, "bytesused"), (3, "flags"), (5, "timestamp"), (7, "sequence"),
                            (8, "memory"), (9, "m.offset"), (10, "length")):  # fmt: skip
        assert offset(abi.BUFFER, position, 11) == header[f"v4l2_buffer.{field}"], field
    assert offset(abi.FORMAT, 1, 8) == header["v4l2_format.fmt.pix.width"]
    assert offset(abi.FORMAT, 5, 8) == header["v4l2_format.fmt.pix.bytesperline"]
    assert offset(abi.STREAMPARM, 3, 5) == header["v4l2_streamparm.parm.capture.timeperframe"]

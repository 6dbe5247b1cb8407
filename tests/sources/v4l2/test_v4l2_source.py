"""The camera against a kernel that interprets the same structures, with a scripted device."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.errors import InputError, InputNotFoundError, SourceLostError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.camera_listing import list_cameras
from ladle_rt.sources.v4l2 import abi
from ladle_rt.sources.v4l2.kernel import Kernel, LinuxKernel
from ladle_rt.sources.v4l2.v4l2_source import V4l2Source

MONOTONIC = abi.BUF_FLAG_TIMESTAMP_MONOTONIC
Step = tuple[bytes, int, int] | OSError | None
"""Data, flags and sequence of a frame; an error of DQBUF; or silence."""


NAMES = {
    getattr(abi, name): name.lower()
    for name in (
        "QUERYCAP", "ENUM_FMT", "ENUM_FRAMESIZES", "S_FMT", "S_PARM", "REQBUFS", "QUERYBUF", "QBUF",
        "DQBUF", "STREAMON", "STREAMOFF",
    )
}  # fmt: skip


class FakeKernel:
    """One device."""

    def __init__(
        self,
        formats: dict[str, list[tuple[int, int]]],
        steps: list[Step] | None = None,
        card: str = "Test Cam",
        caps: int = abi.CAP_VIDEO_CAPTURE | abi.CAP_STREAMING,
        stride_pad: int = 0,
        open_error: int | None = None,
        refuse: dict[int, int] | None = None,
    ) -> None:
        self.formats, self.steps, self.card, self.caps = formats, deque(steps or []), card, caps
        self.stride_pad, self.open_error, self.refuse = stride_pad, open_error, refuse or {}
        self.memory: list[bytearray] = []
        self.queued: deque[int] = deque()
        self.opened = self.closed = 0
        self.set: tuple[str, int, int] = ("", 0, 0)
        self.streaming = False

    def open(self, path: str) -> int:
        if self.open_error is not None:
            raise OSError(self.open_error, os.strerror(self.open_error))
        self.opened += 1
        return 7

    def close(self, device: int) -> None:
        self.closed += 1

    def wait(self, device: int, timeout_s: float) -> bool:
        if self.steps and self.steps[0] is None:
            self.steps.popleft()
            return False
        return bool(self.steps)

    def map(self, device: int, length: int, offset: int) -> Any:
        class Memory(bytearray):
            def close(self) -> None: ...

        self.memory.append(Memory(length))
        return self.memory[-1]

    def ioctl(self, device: int, number: int, data: bytearray) -> None:
        if number in self.refuse:
            raise OSError(self.refuse[number], os.strerror(self.refuse[number]))
        getattr(self, f"_{NAMES[number]}")(data)

    def _querycap(self, data: bytearray) -> None:
        caps = abi.CAP_DEVICE_CAPS | abi.CAP_VIDEO_CAPTURE
        data[:] = abi.CAPABILITY.pack(b"uvc", self.card.encode(), b"usb", 1, caps, self.caps)

    def _enum_fmt(self, data: bytearray) -> None:
        index = struct.unpack_from("=I", data)[0]
        names = list(self.formats)
        if index >= len(names):
            raise OSError(errno.EINVAL, "no more")
        data[:] = abi.FMTDESC.pack(index, 1, 0, b"", abi.fourcc(names[index]))

    def _enum_framesizes(self, data: bytearray) -> None:
        index, code = struct.unpack_from("=II", data)
        sizes = self.formats[abi.name_of(code)]
        if index >= len(sizes):
            raise OSError(errno.EINVAL, "no more")
        data[:] = abi.FRMSIZEENUM.pack(index, code, 1, struct.pack("=II", *sizes[index]))

    def _s_fmt(self, data: bytearray) -> None:
        kind, width, height, code, *_ = abi.FORMAT.unpack(data)
        name = abi.name_of(code)
        size = {"Y16": 2, "Y16-BE": 2, "YUYV": 2, "UYVY": 2}.get(name, 1)
        stride = width * size + self.stride_pad
        self.set = (name, width, height)
        self.bytes = max(stride * height * 3 // 2, 20_000)
        data[:] = abi.FORMAT.pack(kind, width, height, code, 1, stride, stride * height, 0)

    def _s_parm(self, data: bytearray) -> None:
        self.time_per_frame = abi.STREAMPARM.unpack(data)[3:5]

    def _reqbufs(self, data: bytearray) -> None: ...

    def _querybuf(self, data: bytearray) -> None:
        values = list(abi.BUFFER.unpack(data))
        values[9], values[10] = 4096 * values[0], self.bytes
        data[:] = abi.BUFFER.pack(*values)

    def _qbuf(self, data: bytearray) -> None:
        self.queued.append(abi.BUFFER.unpack(data)[0])

    def _dqbuf(self, data: bytearray) -> None:
        step = self.steps.popleft()
        if isinstance(step, OSError):
            raise step
        assert step is not None and self.queued, "all buffers are taken"
        payload, flags, sequence = step
        index = self.queued.popleft()
        self.memory[index][: len(payload)] = payload
        data[:] = abi.BUFFER.pack(
            index, 1, len(payload), flags, 1, 5, 250_000 + sequence * 33_000, sequence, 1, 0, 0
        )

    def _streamon(self, data: bytearray) -> None:
        self.streaming = True

    def _streamoff(self, data: bytearray) -> None:
        self.streaming = False


def counts(height: int = 6, width: int = 8) -> np.ndarray:
    return (np.arange(height * width).reshape(height, width) * 911 % 60_000).astype(np.uint16)


def payload(name: str, values: np.ndarray, pad: int = 0) -> bytes:
    height, width = values.shape
    grey = (values >> 8).astype(np.uint8)
    if name == "MJPG":
        return bytes(cv2.imencode(".jpg", grey)[1])
    if name in ("Y16", "Y16-BE"):
        lines = values.astype("<u2" if name == "Y16" else ">u2").view(np.uint8)
    elif name in ("YUYV", "UYVY"):
        lines = np.full((height, 2 * width), 128, np.uint8)
        lines[:, (name == "UYVY") :: 2] = grey
    else:
        lines = grey
    return bytes(np.pad(lines, ((0, 0), (0, pad))))


@pytest.mark.parametrize("pad", [0, 24])
@pytest.mark.parametrize("name", ["Y16", "Y16-BE", "GREY", "YUYV", "UYVY", "NV12", "MJPG"])
def test_intensities_of_every_format(name: str, pad: int) -> None:
    values = counts()
    steps: list[Step] = [(payload(name, values, pad), MONOTONIC, n) for n in range(9)]
    kernel = FakeKernel({name: [(8, 6)]}, steps, stride_pad=pad)
    with V4l2Source("/dev/video0", SourceOptions(timeout_s=0.5), kernel) as source:
        assert source.info.live and (source.info.width, source.info.height) == (8, 6)
        frames = [frame for _, frame in zip(range(9), source, strict=False)]
    wide = name.startswith("Y16")
    expected = values if wide else values >> 8
    for number, frame in enumerate(frames):
        assert frame.fault is None and frame.pixels.dtype == (np.uint16 if wide else np.uint8)
        np.testing.assert_allclose(frame.pixels, expected, atol=12 if name == "MJPG" else 0)
        assert frame.timestamp_ns == 5_250_000_000 + number * 33_000_000
        assert frame.pts == number * 33_000 and frame.sequence == number
    assert kernel.opened == kernel.closed == 1 and not kernel.streaming


def test_raw_counts_come_first_and_the_largest_size() -> None:
    offers = {"YUYV": [(640, 512)], "Y16": [(320, 256), (640, 512)], "GREY": [(640, 512)]}
    kernel = FakeKernel(offers, card="FLIR Boson 640")
    with V4l2Source("/dev/video2", SourceOptions(fps=30), kernel) as source:
        assert kernel.set == ("Y16", 640, 512) and kernel.time_per_frame == (1, 30)
        assert source.info.name == "FLIR Boson (/dev/video2, Y16 640x512)"
    kernel = FakeKernel(offers)
    with V4l2Source("/dev/video0", SourceOptions(width=320, height=256), kernel):
        assert kernel.set == ("Y16", 320, 256)
    with V4l2Source("/dev/video0", SourceOptions(format="GREY"), kernel):
        assert kernel.set == ("GREY", 640, 512)


def test_telemetry_rows_are_not_picture() -> None:
    values = counts(122, 160)
    steps: list[Step] = [(payload("Y16", values), MONOTONIC, 0)]
    kernel = FakeKernel({"Y16": [(160, 122)]}, steps, card="PureThermal 2: Lepton")
    with V4l2Source("/dev/video0", None, kernel) as source:
        assert source.info.height == 120
        np.testing.assert_array_equal(next(iter(source)).pixels, values[:120])


def test_raw_counts_below_the_picture_are_used() -> None:
    raw = counts(192, 256)
    picture = np.full((192, 256), 0x8050, np.uint16)
    both = np.vstack([picture, raw]).astype("<u2").tobytes()
    kernel = FakeKernel({"YUYV": [(256, 384)]}, [(both, MONOTONIC, 0)], card="TC001")
    with V4l2Source("/dev/video0", None, kernel) as source:
        assert (source.info.width, source.info.height) == (256, 192)
        np.testing.assert_array_equal(next(iter(source)).pixels, raw)


@pytest.mark.parametrize(
    ("name", "size", "picture"),
    [("Y16", (640, 514), 512), ("Y16", (320, 258), 256), ("YUYV", (384, 292), 288),
     ("YUYV", (256, 196), 192)],
)  # fmt: skip
def test_unknown_cameras_are_recognised_by_shape(
    name: str, size: tuple[int, int], picture: int
) -> None:
    width, height = size
    values = np.full((height, width), 19_000, np.uint16)
    values[:picture] += np.arange(width, dtype=np.uint16)
    kernel = FakeKernel({name: [size]}, [(values.astype("<u2").tobytes(), MONOTONIC, 0)])
    with V4l2Source("/dev/video0", kernel=kernel) as source:
        assert (source.info.width, source.info.height) == (width, picture)
        frame = next(iter(source))
    assert np.array_equal(frame.pixels, values[:picture])


@pytest.mark.parametrize("raw", [True, False])
def test_stacked_frames_of_unknown_cameras(raw: bool) -> None:
    luma = np.tile(np.arange(256, dtype=np.uint16) // 2, (192, 1)) | 0x8000
    below = (19_000 + np.arange(192 * 256).reshape(192, 256) % 500).astype(np.uint16)
    whole = np.vstack([luma, below if raw else luma])
    kernel = FakeKernel({"YUYV": [(256, 384)]}, [(whole.astype("<u2").tobytes(), MONOTONIC, 0)])
    with V4l2Source("/dev/video0", kernel=kernel) as source:
        assert (source.info.width, source.info.height) == (256, 192)
        frame = next(iter(source))
    assert np.array_equal(frame.pixels, below if raw else luma & 255)


def test_systems_without_video4linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(InputError, match="Video4Linux2, which win32 does not have; give a stream"):
        V4l2Source("/dev/video0")


def test_nothing_of_linux_is_imported_before_it_is_used() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('fcntl', 'grp', 'pwd', 'termios')))\n"
        "import ladle_rt.sinks.loopback_sink\n"
        "import ladle_rt.sources.select, ladle_rt.sources.camera_listing\n"
        "from ladle_rt.sources.v4l2.v4l2_source import V4l2Source\n"
        "from ladle_rt.pipeline.doctor import _permissions\n"
        "print(next(_permissions()).ok)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "True\n", done.stderr


def test_faults_are_delivered_and_missed_frames_counted() -> None:
    good = payload("Y16", counts())
    steps: list[Step] = [
        (good, MONOTONIC, 0), (good[:20], MONOTONIC, 1), (good, abi.BUF_FLAG_ERROR, 2),
        BlockingIOError(errno.EAGAIN, "again"), (good, MONOTONIC, 6), None,
    ]  # fmt: skip
    kernel = FakeKernel({"Y16": [(8, 6)]}, steps)
    found = []
    with V4l2Source("/dev/video0", SourceOptions(timeout_s=0.5), kernel) as source:
        frames = iter(source)
        found = [next(frames) for _ in range(4)]
        with pytest.raises(SourceLostError, match=r"no frame for 0\.5 s"):
            next(frames)
    assert [frame.fault for frame in found] == [
        None, "expected 96 bytes, received 20", "the driver marks the frame as damaged", None,
    ]  # fmt: skip
    assert [frame.missed for frame in found] == [0, 0, 0, 3]


def test_unplugging_is_a_loss() -> None:
    kernel = FakeKernel({"GREY": [(8, 6)]}, [OSError(errno.ENODEV, "No such device")])
    with (
        V4l2Source("/dev/video0", None, kernel) as source,
        pytest.raises(SourceLostError, match=r"gone \(No such device\)"),
    ):
        next(iter(source))
    assert kernel.closed == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"open_error": errno.ENOENT}, "no such device"),
        ({"open_error": errno.EACCES}, "usermod -aG video"),
        ({"open_error": errno.EBUSY}, "another program"),
        ({"refuse": {abi.QUERYCAP: errno.ENOTTY}}, "expected a camera"),
        ({"caps": 0}, "does not capture on this node"),
        ({"refuse": {abi.S_FMT: errno.EBUSY}}, "another program"),
        ({"refuse": {abi.STREAMON: errno.EBUSY}}, "another program"),
        ({"formats": {"H264": [(640, 480)]}}, "the camera has H264 640x480"),
    ],
)
def test_refusals(fault: dict[str, Any], said: str) -> None:
    kernel = FakeKernel(**{"formats": {"GREY": [(8, 6)]}, **fault})
    with pytest.raises(InputError, match=said) as caught:
        V4l2Source("/dev/video5", None, kernel)
    assert "\n" not in str(caught.value) and "/dev/video5" in str(caught.value)
    assert kernel.opened == kernel.closed


def test_formats_and_sizes_it_does_not_have_are_listed() -> None:
    kernel = FakeKernel({"GREY": [(8, 6), (16, 12)], "MJPG": [(8, 6)]})
    with pytest.raises(InputError, match="no format Y16; it has GREY 8x6 16x12; MJPG 8x6"):
        V4l2Source("/dev/video0", SourceOptions(format="Y16"), kernel)
    with pytest.raises(InputError, match="no size 99x99; it has GREY"):
        V4l2Source("/dev/video0", SourceOptions(width=99, height=99), kernel)
    assert kernel.opened == kernel.closed == 2


def test_listing(tmp_path: Path) -> None:
    for name in ("video0", "video10", "video2"):
        (tmp_path / name).touch()
    kernel = FakeKernel({"Y16": [(160, 120)]}, card="PureThermal 3")
    found = list_cameras(tmp_path, kernel)
    assert [Path(one.device).name for one in found] == ["video0", "video2", "video10"]
    assert all(one.thermal and one.chosen == "Y16 160x120" for one in found)
    assert list_cameras(tmp_path, FakeKernel({}, caps=0)) == []
    busy = list_cameras(tmp_path, FakeKernel({}, open_error=errno.EBUSY))
    assert all(one.problem and "another program" in one.problem for one in busy)


def test_the_real_kernel_on_something_else(tmp_path: Path) -> None:
    kernel: Kernel = LinuxKernel()
    with pytest.raises(InputNotFoundError, match="no such device"):
        V4l2Source(str(tmp_path / "video0"), None, kernel)
    with pytest.raises(InputError, match="expected a camera"):
        V4l2Source("/dev/null", None, kernel)

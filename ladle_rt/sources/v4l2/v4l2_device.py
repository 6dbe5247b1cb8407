"""One V4L2 device: what it is and can do, and its frames."""

from __future__ import annotations

import contextlib
import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError, InputNotFoundError, SourceLostError
from ladle_rt.sources.v4l2 import abi
from ladle_rt.sources.v4l2.kernel import Kernel

BUFFERS = 4
MOST_ENTRIES = 64
"""Bound on enumerations, for drivers that never end them."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One pixel format and the sizes it comes in."""

    format: str
    sizes: tuple[tuple[int, int], ...]
    """Width and height; none where the driver takes any."""

    def __str__(self) -> str:
        sizes = " ".join(f"{width}x{height}" for width, height in self.sizes)
        return f"{self.format} {sizes or 'any size'}"


@dataclass(frozen=True, slots=True)
class Buffer:
    """One captured frame, still in the driver's memory."""

    data: npt.NDArray[np.uint8]
    """Valid until the next one is asked for."""
    timestamp_ns: int | None
    """On the monotonic clock, where the driver uses that."""
    sequence: int
    """The driver's count; gaps are frames that it dropped."""
    damaged: bool


class V4l2Device(Closing):
    """An open camera; a context manager."""

    def __init__(self, path: str, kernel: Kernel) -> None:
        """
        Raises:
            InputNotFoundError: no such device.
            InputError: busy, not permitted, or not a camera.
        """
        self.path, self._kernel = path, kernel
        self._maps: list[Any] = []
        self._streaming = False
        try:
            self._device: int | None = kernel.open(path)
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            self.card = self._identify()
        except BaseException:
            self.close()
            raise

    def offers(self) -> tuple[Offer, ...]:
        """Formats and sizes, in the driver's order."""
        found = []
        for index in range(MOST_ENTRIES):
            try:
                answer = self._call(
                    abi.ENUM_FMT, abi.FMTDESC, index, abi.BUF_TYPE_VIDEO_CAPTURE, 0, b"", 0
                )
            except OSError:
                break
            found.append(Offer(abi.name_of(answer[4]), tuple(self._sizes(answer[4]))))
        return tuple(found)

    def configure(
        self, name: str, size: tuple[int, int], fps: float | None
    ) -> tuple[int, int, int]:
        """Set format, size and rate.

        Returns:
            Width, height and bytes per line as the driver set them.

        Raises:
            InputError: refused, or the device is busy.
        """
        code = abi.fourcc(name)
        try:
            answer = self._call(
                abi.S_FMT, abi.FORMAT, abi.BUF_TYPE_VIDEO_CAPTURE, *size, code, 1, 0, 0, 0
            )
        except OSError as error:
            raise _refusal(self.path, error) from error
        _, width, height, got, _, stride, _, _ = answer
        if got != code:
            raise InputError(
                f"{self.path}: the driver gives {abi.name_of(got)} instead of {name}; choose "
                "another --format"
            )
        if fps is not None:
            rate = Fraction(fps).limit_denominator(1001)
            with contextlib.suppress(OSError):
                self._call(
                    abi.S_PARM,
                    abi.STREAMPARM,
                    abi.BUF_TYPE_VIDEO_CAPTURE,
                    0,
                    0,
                    rate.denominator,
                    rate.numerator,
                )
        return width, height, stride

    def start(self) -> None:
        """Let frames come.

        Raises:
            InputError: another program uses the camera.
        """
        try:
            answer = self._call(
                abi.REQBUFS,
                abi.REQUESTBUFFERS,
                BUFFERS,
                abi.BUF_TYPE_VIDEO_CAPTURE,
                abi.MEMORY_MMAP,
                0,
            )
            for index in range(answer[0]):
                found = self._buffer(abi.QUERYBUF, index)
                assert self._device is not None
                self._maps.append(self._kernel.map(self._device, found[10], found[9]))
                self._buffer(abi.QBUF, index)
            self._call(abi.STREAMON, struct.Struct("=i"), abi.BUF_TYPE_VIDEO_CAPTURE)
        except OSError as error:
            raise _refusal(self.path, error) from error
        self._streaming = True

    def buffers(self, timeout_s: float) -> Iterator[Buffer]:
        """Frames as they come.

        Raises:
            SourceLostError: none within the timeout, or the device is gone.
        """
        while True:
            try:
                assert self._device is not None
                if not self._kernel.wait(self._device, timeout_s):
                    raise SourceLostError(f"{self.path}: no frame for {timeout_s:g} s")
                found = self._buffer(abi.DQBUF, 0)
            except SourceLostError:
                raise
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SourceLostError(f"{self.path}: the camera is gone ({reason})") from error
            index, _, used, flags, _, seconds, microseconds, sequence = found[:8]
            monotonic = flags & abi.BUF_FLAG_TIMESTAMP_MASK == abi.BUF_FLAG_TIMESTAMP_MONOTONIC
            yield Buffer(
                np.frombuffer(self._maps[index], np.uint8, used),
                seconds * 1_000_000_000 + microseconds * 1000 if monotonic else None,
                sequence,
                bool(flags & abi.BUF_FLAG_ERROR),
            )
            # Given back only now: until here the consumer read it.
            with contextlib.suppress(OSError):
                self._buffer(abi.QBUF, index)

    def close(self) -> None:
        """Stop and release; calling it twice is harmless."""
        device, self._device = self._device, None
        if device is None:
            return
        if self._streaming:
            with contextlib.suppress(OSError):
                data = bytearray(struct.pack("=i", abi.BUF_TYPE_VIDEO_CAPTURE))
                self._kernel.ioctl(device, abi.STREAMOFF, data)
        for one in self._maps:
            # A frame that is still looked at keeps its memory until it is let go.
            with contextlib.suppress(BufferError):
                one.close()
        self._maps.clear()
        self._kernel.close(device)

    def _identify(self) -> str:
        try:
            answer = self._call(abi.QUERYCAP, abi.CAPABILITY, b"", b"", b"", 0, 0, 0)
        except OSError as error:
            raise InputError(
                f"{self.path}: expected a camera, found something else ({error.strerror})"
            ) from error
        _, card, _, _, capabilities, device_caps = answer
        caps = device_caps if capabilities & abi.CAP_DEVICE_CAPS else capabilities
        name: str = card.split(b"\0")[0].decode("utf-8", "replace")
        if not (caps & abi.CAP_VIDEO_CAPTURE and caps & abi.CAP_STREAMING):
            raise InputError(
                f"{self.path}: {name} does not capture on this node; try the one before it, or "
                "see `ladle-rt sources`"
            )
        return name

    def _sizes(self, code: int) -> Iterator[tuple[int, int]]:
        for index in range(MOST_ENTRIES):
            try:
                answer = self._call(abi.ENUM_FRAMESIZES, abi.FRMSIZEENUM, index, code, 0, b"")
            except OSError:
                return
            if answer[2] != abi.FRMSIZE_DISCRETE:
                return
            width, height = struct.unpack_from("=II", answer[3])
            yield width, height

    def _buffer(self, number: int, index: int) -> tuple[Any, ...]:
        kind = abi.BUF_TYPE_VIDEO_CAPTURE
        values = (index, kind, 0, 0, 0, 0, 0, 0, abi.MEMORY_MMAP, 0, 0)
        return self._call(number, abi.BUFFER, *values)

    def _call(self, number: int, form: struct.Struct, *values: Any) -> tuple[Any, ...]:
        data = bytearray(form.pack(*values))
        if self._device is None:
            raise OSError(errno.EBADF, "closed")
        self._kernel.ioctl(self._device, number, data)
        return form.unpack(data)


def _refusal(path: str, error: OSError) -> InputError:
    number = error.errno
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = " ".join(sorted(str(one) for one in Path("/dev").glob("video*")))
        return InputNotFoundError(f"{path}: no such device; cameras here: {there or 'none'}")
    if number == errno.EBUSY:
        return InputError(f"{path}: another program uses this camera; close it first")
    if number in (errno.EACCES, errno.EPERM):
        return InputError(
            f"{path}: not permitted; join the group: sudo usermod -aG video $USER, "
            "then log in again"
        )
    return InputError(f"{path}: cannot be opened as a camera ({error.strerror})")

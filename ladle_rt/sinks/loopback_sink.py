"""Pictures out of a v4l2loopback device, so that any program sees a camera."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture, PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext

# linux/videodev2.h
VIDIOC_QUERYCAP = 0x80685600
VIDIOC_S_FMT = 0xC0D05605
CAP_VIDEO_OUTPUT = 0x2
CAP_DEVICE_CAPS = 0x80000000
BUF_TYPE_VIDEO_OUTPUT = 2
FIELD_NONE = 1
COLORSPACE_REC709 = 3
YUV420 = struct.unpack("<I", b"YU12")[0]
CAPABILITY = struct.Struct("=16s32s32sI I I12x")
FORMAT = struct.Struct("=I4xIIIIIII172x")
"""v4l2_format with v4l2_pix_format: type, width, height, pixel format, field, bytes per line,
size, colour space; 208 bytes on 64-bit systems."""


class LoopbackSink:
    """Writes I420 frames; the device is set up by the first picture."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, path: Path, context: SinkContext) -> None:
        """
        Raises:
            OutputError: no such device, not an output device, or no permission.
        """
        self._path = path
        try:
            self._device: int | None = os.open(path, os.O_RDWR)
        except OSError as error:
            hint = {
                errno.ENOENT: "load it: sudo modprobe v4l2loopback",
                errno.EACCES: "join its group: sudo usermod -aG video $USER, then log in again",
                errno.EBUSY: "another program writes to it",
            }.get(error.errno or 0, "check the device")
            raise OutputError(f"{path}: cannot be opened ({error.strerror}); {hint}") from error
        try:
            self._check()
        except BaseException:
            self.close()
            raise
        self._kind: tuple[int, int] | None = None

    def write(self, translated: TranslatedFrame) -> None:
        """Show one picture; see `Sink.write`."""
        picture = translated.picture
        assert self._device is not None
        try:
            if self._kind is None:
                self._set_format(picture)
                self._kind = picture.width, picture.height
            if self._kind != (picture.width, picture.height):
                raise OutputError(
                    f"{self._path}: the picture changes to {picture.width}x{picture.height}, which "
                    "readers of a camera cannot follow"
                )
            os.write(self._device, picture.data.tobytes())
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close the device; calling it twice is harmless."""
        device, self._device = self._device, None
        if device is not None:
            os.close(device)

    def abort(self) -> None:
        """The same."""
        self.close()

    def _check(self) -> None:
        assert self._device is not None
        answer = bytearray(CAPABILITY.size)
        try:
            import fcntl  # not everywhere

            fcntl.ioctl(self._device, VIDIOC_QUERYCAP, answer)
        except OSError as error:
            raise OutputError(
                f"{self._path}: expected a v4l2loopback device, found none ({error.strerror})"
            ) from error
        *_, capabilities, device_caps = CAPABILITY.unpack(answer)
        found = device_caps if capabilities & CAP_DEVICE_CAPS else capabilities
        if not found & CAP_VIDEO_OUTPUT:
            raise OutputError(
                f"{self._path}: a camera, expected an output; make one with: sudo modprobe "
                "v4l2loopback video_nr=9, then use v4l2:/dev/video9"
            )

    def _set_format(self, picture: Picture) -> None:
        assert self._device is not None
        wanted = FORMAT.pack(
            BUF_TYPE_VIDEO_OUTPUT,
            picture.width,
            picture.height,
            YUV420,
            FIELD_NONE,
            picture.width,
            picture.data.nbytes,
            COLORSPACE_REC709,
        )
        import fcntl  # not everywhere

        fcntl.ioctl(self._device, VIDIOC_S_FMT, bytearray(wanted))

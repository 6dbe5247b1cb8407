"""Thermal frames out of a V4L2 camera."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.sources.base import SourceInfo, SourceOptions
from ladle_rt.sources.close_guard import CloseGuard
from ladle_rt.sources.v4l2.camera_formats import COLOURED, PREFERENCE, decode, decode_colours
from ladle_rt.sources.v4l2.cameras import ThermalCamera, recognise
from ladle_rt.sources.v4l2.kernel import Kernel, LinuxKernel
from ladle_rt.sources.v4l2.v4l2_device import Buffer, Offer, V4l2Device
from ladle_rt.temperature import KELVIN_64
from ladle_rt.thermal.scene_reader import live_palette
from ladle_rt.thermal.sensors import holds_counts, is_stacked, telemetry_rows
from ladle_rt.thermal.unpalette import PaletteReader

logger = logging.getLogger("ladle_rt.stream")

TIME_BASE = Fraction(1, 1_000_000)
DEFAULT_RATE = Fraction(30)
DEFAULT_SIZE = (640, 512)
"""Asked for where a driver takes any size."""


class V4l2Source(Closing):
    """A live `Source`: the camera's raw 16-bit counts where it has them, else grey or luma.

    ``timestamp_ns`` is the driver's own where it uses the monotonic clock. ``close`` may be
    called from any thread; a read that waits ends within the timeout.
    """

    def __init__(
        self, path: str, options: SourceOptions | None = None, kernel: Kernel | None = None
    ) -> None:
        """
        Args:
            path: for example ``/dev/video0``.
            options: ``width``, ``height``, ``fps``, ``format``, ``timeout_s`` and
                ``read.from_palette`` count here.
            kernel: stands in for the real one in tests.

        Raises:
            InputNotFoundError: no such device.
            InputError: busy, not permitted, not a camera, or a format or size it does not have.
        """
        self._options = options or SourceOptions()
        self._palette = live_palette(self._options.read, path)
        self._device = V4l2Device(path, kernel or LinuxKernel())
        self._guard = CloseGuard(self._device.close)
        try:
            self._camera = recognise(self._device.card)
            self._format, size = choose(self._device.offers(), self._options, path, self._camera)
            self._width, self._height, self._stride = self._device.configure(
                self._format, size, self._options.fps
            )
            self._device.start()
        except BaseException:
            self._device.close()
            raise
        known = self._camera.name if self._camera else self._device.card
        rows = self._cut(np.empty((self._height, self._width), np.uint8)).shape[0]
        fps = self._options.fps
        self.info = SourceInfo(
            width=self._width,
            height=rows,
            time_base=TIME_BASE,
            rate=DEFAULT_RATE if fps is None else Fraction(fps).limit_denominator(1001),
            live=True,
            name=f"{known} ({path}, {self._format} {self._width}x{rows})",
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver frames as they come.

        Raises:
            SourceLostError: the camera is gone, or nothing came within the timeout.
        """
        with self._guard.using():
            yield from self._deliver()

    def close(self) -> None:
        """Release the camera; calling it twice is harmless."""
        self._guard.close()

    def _deliver(self) -> Iterator[Frame]:
        first_ns: int | None = None
        last: int | None = None
        buffers = self._device.buffers(self._options.timeout_s)
        for number, buffer in enumerate(buffers):
            if self._guard.closing.is_set():
                return
            missed = 0 if last is None else max(0, buffer.sequence - last - 1)
            last = buffer.sequence
            time_ns = buffer.timestamp_ns or time.monotonic_ns()
            first_ns = time_ns if first_ns is None else first_ns
            pixels, fault = self._pixels(buffer)
            pts = (time_ns - first_ns) // 1000
            celsius = KELVIN_64 if self._in_64ths and pixels.dtype == np.uint16 else None
            yield Frame(pixels, number, time_ns, pts, TIME_BASE, fault, missed, celsius=celsius)

    def _pixels(self, buffer: Buffer) -> tuple[ThermalPixels, str | None]:
        nothing = np.empty((0, 0), np.uint8)
        if buffer.damaged:
            return nothing, "the driver marks the frame as damaged"
        found = decode(buffer.data, self._format, self._width, self._height, self._stride)
        if isinstance(found, str):
            return nothing, found
        words = self._words(buffer)
        if self._raw_below:
            half = self._height // 2
            if words is not None and (self._known_raw or holds_counts(words[half:])):
                return words[half:].copy(), None
        elif words is not None and self._telemetry and holds_counts(words):
            # The whole picture is counts, and telemetry follows (HT-301, T2S+).
            return self._cut(words).copy(), None
        if self._palette is not None:
            return self._levels(buffer, self._palette)
        return self._cut(found), None

    def _levels(self, buffer: Buffer, palette: PaletteReader) -> tuple[ThermalPixels, str | None]:
        size = self._width, self._height, self._stride
        colours = decode_colours(buffer.data, self._format, *size)
        if isinstance(colours, str):
            return np.empty((0, 0), np.uint8), colours
        return self._cut(palette.levels(colours)), None

    def _words(self, buffer: Buffer) -> npt.NDArray[np.uint16] | None:
        """Both bytes of each pixel together: raw counts travel as YUYV."""
        if self._format != "YUYV" or not (self._raw_below or self._telemetry):
            return None
        # The last line may come without its padding.
        data = np.resize(buffer.data, self._stride * self._height)
        lines = data.reshape(self._height, self._stride)
        return np.ascontiguousarray(lines[:, : 2 * self._width]).view("<u2").astype(np.uint16)

    @property
    def _known_raw(self) -> bool:
        return self._camera is not None and self._camera.raw_below

    @property
    def _raw_below(self) -> bool:
        if self._format != "YUYV":
            return False
        known = self._known_raw and self._height > self._width
        return known or is_stacked(self._width, self._height)

    @property
    def _in_64ths(self) -> bool:
        """Whether counts below the picture are 64ths of a kelvin: those of 256x192 modules."""
        return self._raw_below and (self._width, self._height) == (256, 384)

    @property
    def _telemetry(self) -> int:
        """Rows at the end that are not picture."""
        named = dict(self._camera.telemetry) if self._camera else {}
        if self._height in named:
            return self._height - named[self._height]
        return telemetry_rows(self._width, self._height)

    def _cut(self, pixels: ThermalPixels) -> ThermalPixels:
        """Without rows that are not picture."""
        if self._raw_below:
            return pixels[: self._height // 2]
        return pixels[: self._height - self._telemetry]


def choose(
    offers: tuple[Offer, ...],
    options: SourceOptions,
    path: str,
    camera: ThermalCamera | None = None,
) -> tuple[str, tuple[int, int]]:
    """The format and size to ask a camera for.

    Raises:
        InputError: nothing that can be used, or not what was asked for.
    """
    listed = "; ".join(map(str, offers)) or "nothing"
    by_name = {offer.format: offer for offer in offers}
    if options.format is not None and options.format not in by_name:
        raise InputError(f"{path}: no format {options.format}; it has {listed}")
    readable = PREFERENCE if options.read.from_palette is None else COLOURED
    wanted = readable if options.format is None else (options.format,)
    usable = [by_name[name] for name in wanted if name in by_name and name in readable]
    if camera is not None and camera.raw_below and options.format is None:
        usable.sort(key=lambda offer: offer.format != "YUYV")
    if not usable:
        raise InputError(
            f"{path}: expected one of {', '.join(readable)}, the camera has {listed}"
            + ("; leave --from-palette out" if readable is COLOURED else "")
        )
    if options.width is None or options.height is None:
        sizes = usable[0].sizes or (DEFAULT_SIZE,)
        return usable[0].format, max(sizes, key=lambda size: size[0] * size[1])
    size = (options.width, options.height)
    for offer in usable:
        if not offer.sizes or size in offer.sizes:
            return offer.format, size
    raise InputError(f"{path}: no size {size[0]}x{size[1]}; it has {listed}")

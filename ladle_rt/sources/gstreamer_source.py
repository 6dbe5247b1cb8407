"""GStreamer pipelines and Jetson's CSI cameras, through OpenCV where it is built with GStreamer.

A frame of a Jetson's image processor lies in memory of the multimedia engines (NVMM). ``nvvidconv``
makes grey levels of it and puts them into system memory, both in one pass and not by the CPU;
OpenCV then copies them out of the pipeline's pool. Cameras with a device of their own, such as
``/dev/video0`` (NVIDIA: ``nvv4l2camerasrc``), are read by `ladle_rt.sources.v4l2`: the
kernel fills system memory itself, and NVMM would only be a detour that knows no 16 bit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from ladle_rt.closing import Closing
from ladle_rt.errors import InputError, SourceLostError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceInfo, SourceOptions
from ladle_rt.sources.close_guard import CloseGuard
from ladle_rt.thermal.scene_reader import live_palette

TIME_BASE = Fraction(1, 1_000_000)


def built_with_gstreamer() -> bool:
    """Whether this OpenCV can open pipelines; PyPI's cannot, JetPack's can."""
    return re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()) is not None


def csi_pipeline(number: str, options: SourceOptions) -> str:
    """The pipeline of a CSI camera on a Jetson.

    Args:
        number: of the sensor.
        options: ``width``, ``height`` and ``fps`` count here.

    Raises:
        InputError: not a number.
    """
    if not number.isdecimal():
        raise InputError(f"csi:{number}: expected the number of a sensor, such as csi:0")
    caps = "video/x-raw(memory:NVMM)"
    if options.width is not None:
        caps += f",width={options.width},height={options.height}"
    if options.fps is not None:
        rate = Fraction(options.fps).limit_denominator(1001)
        caps += f",framerate={rate.numerator}/{rate.denominator}"
    # The one copy from NVMM: straight to grey levels in system memory.
    return (
        f"nvarguscamerasrc sensor-id={number} ! {caps} ! nvvidconv ! video/x-raw,format=GRAY8 ! "
        "appsink drop=true max-buffers=1 sync=false"
    )


def _open(pipeline: str) -> Any:
    if not built_with_gstreamer():
        raise InputError(
            "this OpenCV is built without GStreamer (PyPI's is); on a Jetson use JetPack's OpenCV, "
            "elsewhere the device or address itself: /dev/video0, rtsp://..."
        )
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)


class GStreamerSource(Closing):
    """A live `Source` over ``GRAY8``, ``GRAY16_LE`` or ``BGR`` frames of an ``appsink``.

    A pipeline that hangs is left to the watchdog around this source.
    """

    def __init__(
        self,
        pipeline: str,
        options: SourceOptions | None = None,
        open_capture: Callable[[str], Any] = _open,
    ) -> None:
        """
        Args:
            pipeline: ends in ``appsink``.
            options: ``read.from_palette`` counts here; a pipeline says the rest.
            open_capture: gives an object like `cv2.VideoCapture`.

        Raises:
            InputError: no GStreamer, or a pipeline that gives no frame.
        """
        self._palette = live_palette((options or SourceOptions()).read, "GStreamer")
        self._capture = open_capture(pipeline)
        self._guard = CloseGuard(self._capture.release)
        first: Any = None
        if self._capture.isOpened():
            _, first = self._capture.read()
        if first is None:
            self._capture.release()
            raise InputError(
                f"gst: the pipeline gives no frame; try it with: gst-launch-1.0 {pipeline}"
            )
        self._first = first
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        height, width = first.shape[:2]
        self.info = SourceInfo(
            width=width,
            height=height,
            time_base=TIME_BASE,
            rate=Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else Fraction(30),
            live=True,
            name="GStreamer",
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver frames as they come.

        Raises:
            SourceLostError: the pipeline ended.
        """
        begin_ns = time.monotonic_ns()
        number, delivered, image = 0, True, self._first
        with self._guard.using():
            while delivered and not self._guard.closing.is_set():
                now_ns = time.monotonic_ns()
                yield Frame(
                    self._levels(image), number, now_ns, (now_ns - begin_ns) // 1000, TIME_BASE
                )
                number += 1
                delivered, image = self._capture.read()
        raise SourceLostError("the GStreamer pipeline ended")

    def _levels(self, image: Any) -> Any:
        if self._palette is None:
            return _grey(image)
        if not _is_colour(image):
            raise InputError(
                "gst: --from-palette expects colours, received a grey picture; end the pipeline in "
                "video/x-raw,format=BGR"
            )
        return self._palette.levels(np.ascontiguousarray(image[..., ::-1]))

    def close(self) -> None:
        """Stop the pipeline; calling it twice is harmless."""
        self._guard.close()


def _is_colour(image: Any) -> bool:
    return bool(image.ndim == 3 and image.shape[2] == 3)


def _grey(image: Any) -> Any:
    if _is_colour(image):
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    # OpenCV has copied it for us alone.
    return image.reshape(image.shape[:2])


def open_csi(number: str, options: SourceOptions) -> GStreamerSource:
    """A CSI camera on a Jetson; see `csi_pipeline`."""
    return GStreamerSource(csi_pipeline(number, options), options)

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ladle_rt.errors import InputError, SourceLostError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.gstreamer_source import GStreamerSource, built_with_gstreamer, csi_pipeline


class Capture:
    """The methods of `cv2.VideoCapture` that are used."""

    def __init__(self, images: list[Any], opened: bool = True) -> None:
        self.images, self.opened, self.released = images, opened, 0

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, Any]:
        return (True, self.images.pop(0)) if self.images else (False, None)

    def get(self, number: int) -> float:
        return {cv2.CAP_PROP_FPS: 60.0}[number]

    def release(self) -> None:
        self.released += 1


def test_the_stand_in_has_the_real_names() -> None:
    for name in ("isOpened", "read", "get", "release"):
        assert hasattr(cv2.VideoCapture, name)


@pytest.mark.parametrize("kind", ["GRAY8", "GRAY16", "BGR", "GRAY8 with an axis"])
def test_frames_of_each_kind(kind: str) -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    image: Any = {
        "GRAY8": grey,
        "GRAY16": grey.astype(np.uint16) * 300,
        "BGR": np.repeat(grey[..., None], 3, axis=2),
        "GRAY8 with an axis": grey[..., None],
    }[kind]
    capture = Capture([image] * 3)
    with GStreamerSource("...", None, lambda pipeline: capture) as source:
        assert (source.info.width, source.info.height, source.info.rate) == (6, 4, 60)
        frames = iter(source)
        for number in range(3):
            frame = next(frames)
            assert frame.sequence == number
            np.testing.assert_array_equal(frame.pixels, image if kind == "GRAY16" else grey)
            # OpenCV gives a new array each time: grey levels are not copied once more.
            assert np.shares_memory(frame.pixels, image) == (kind != "BGR")
        with pytest.raises(SourceLostError, match="ended"):
            next(frames)
    assert capture.released == 1


def test_refusals() -> None:
    for capture in (Capture([], True), Capture([], False)):
        with pytest.raises(InputError, match="gst-launch"):
            GStreamerSource("videotestsrc ! appsink", None, lambda pipeline, c=capture: c)
        assert capture.released == 1
    if not built_with_gstreamer():
        with pytest.raises(InputError, match="built without GStreamer"):
            GStreamerSource("videotestsrc ! appsink")
    with pytest.raises(InputError, match="csi:0"):
        csi_pipeline("front", SourceOptions())


def test_csi() -> None:
    pipeline = csi_pipeline("1", SourceOptions(width=640, height=480, fps=29.97))
    assert "sensor-id=1" in pipeline and "width=640,height=480,framerate=2997/100" in pipeline
    # From the multimedia engines' memory straight to grey levels in the CPU's.
    steps = [step.split(",")[0].split()[0] for step in pipeline.split(" ! ")]
    assert steps == [
        "nvarguscamerasrc",
        "video/x-raw(memory:NVMM)",
        "nvvidconv",
        "video/x-raw",
        "appsink",
    ]
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")

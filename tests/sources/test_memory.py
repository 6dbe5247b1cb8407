"""What large pictures cost: one of as many pixels as are let in must not take all memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ladle_rt.errors import InputError
from ladle_rt.sources.video_source import VideoSource

SIDE = 2048
BYTES_PER_PIXEL = 24
"""Of the largest picture that is let in this is 800 MB."""
PEAK = """
import resource, sys
from pathlib import Path
from ladle_rt.sources.still_images import read_stills

def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

folder, name = Path(sys.argv[1]), sys.argv[2]
list(read_stills(folder / ("small" + Path(name).suffix), allow_colour=True))
before = peak_kb()
(pixels,) = read_stills(folder / name, allow_colour=True)
print(pixels.size, peak_kb() - before)
"""


def write(path: Path, side: int) -> None:
    """Zeros, which take no room in a file; of the deepest kind that is read."""
    match path.suffix:
        case ".png":
            cv2.imwrite(str(path), np.zeros((side, side, 4), np.uint16))
        case ".tif":
            cv2.imwrite(str(path), np.zeros((side, side), np.float32))
        case ".jp2":
            cv2.imwrite(str(path), np.zeros((side, side), np.uint16))
        case ".npy":
            np.lib.format.open_memmap(path, "w+", np.float64, (side, side)).flush()
        case _:
            Image.new("L", (side, side)).save(path, lossless=True)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2", "npy", "gif", "webp"])
def test_a_picture_costs_few_copies_of_itself(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"small.{suffix}", 64)
    write(tmp_path / f"large.{suffix}", SIDE)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path), f"large.{suffix}"],
        capture_output=True,
        text=True,
        check=True,
    )
    pixels, cost_kb = map(int, done.stdout.split())
    assert pixels == SIDE * SIDE
    assert cost_kb * 1024 < BYTES_PER_PIXEL * pixels, f"{cost_kb * 1024 / pixels:.1f}"


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("b.mp4", "libx264")])
def test_frames_beyond_the_limit_are_refused(
    name: str, codec: str, write_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(name, frames=3, codec=codec)
    with VideoSource(path) as source:
        assert len(list(source)) == 3
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "3000")
    with pytest.raises(InputError, match="have more than 3000 pixels"):
        VideoSource(path)

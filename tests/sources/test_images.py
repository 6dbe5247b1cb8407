"""Stills of every depth; palettes and files that are no images are refused."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError
from ladle_rt.sources.images import list_images, read_still

COUNTS = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_counts_are_kept(tmp_path: Path, suffix: str) -> None:
    for name, counts in (("deep", COUNTS + 6000), ("flat", (COUNTS // 13).astype(np.uint8))):
        path = tmp_path / f"{name}{suffix}"
        cv2.imwrite(str(path), counts)
        pixels = read_still(path)
        assert pixels.dtype == counts.dtype and np.array_equal(pixels, counts)


def test_three_equal_channels_and_alpha_are_grey(tmp_path: Path) -> None:
    grey = (COUNTS // 13).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "c.png"), np.dstack([grey] * 3))
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([grey] * 3 + [np.full_like(grey, 9)]))
    for name in ("c.png", "a.png"):
        assert np.array_equal(read_still(tmp_path / name), grey)


def test_palettes_are_refused_or_reduced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "iron.png"
    cv2.imwrite(str(path), cv2.applyColorMap((COUNTS // 13).astype(np.uint8), cv2.COLORMAP_INFERNO))
    with pytest.raises(FalseColourError, match="--allow-colour"):
        read_still(path)
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        assert read_still(path, allow_colour=True).shape == (48, 64)
    assert "luminance" in caplog.text


def test_what_is_no_thermal_image(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    cv2.imwrite(str(tmp_path / "float.tiff"), COUNTS.astype(np.float32))
    with pytest.raises(InputError, match="does not decode"):
        read_still(tmp_path / "text.png")
    with pytest.raises(InputError, match="16-bit counts"):
        read_still(tmp_path / "float.tiff")
    with pytest.raises(InputNotFoundError):
        read_still(tmp_path / "missing.png")


def test_folders_mean_their_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    names = [path.name for path in list_images([tmp_path, tmp_path / "notes.txt"])]
    assert names == ["a.jpg", "b.png", "notes.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none in it"):
        list_images([tmp_path / "empty"])
    with pytest.raises(InputNotFoundError, match="no such file or folder"):
        list_images([tmp_path / "missing"])


def test_real_raw_still(shared_data: Path) -> None:
    pixels = read_still(shared_data / "still16" / "boson_640x512_uint16.tiff")
    assert pixels.shape == (512, 640) and pixels.dtype == np.uint16
    assert (pixels.min(), pixels.max()) == (6743, 7077)

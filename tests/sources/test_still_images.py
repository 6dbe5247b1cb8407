"""Stills of every depth; palettes and files that are no images are refused."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError
from ladle_rt.sources.still_images import list_images, read_still

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
    cv2.imwrite(str(path), np.full((4, 4, 3), (0, 0, 200), np.uint8))
    # Rec. 601 weighs red with 0.299.
    assert (read_still(path, allow_colour=True) == 60).all()


def test_what_is_no_thermal_image(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    cv2.imwrite(str(tmp_path / "nan.tiff"), np.full((8, 8), np.nan, np.float32))
    with pytest.raises(InputError, match="does not decode"):
        read_still(tmp_path / "text.png")
    with pytest.raises(InputError, match="received only NaN"):
        read_still(tmp_path / "nan.tiff")
    with pytest.raises(InputNotFoundError):
        read_still(tmp_path / "missing.png")


def test_folders_mean_their_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.TIF", "notes.txt", "._b.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in list_images([tmp_path, tmp_path / "notes.txt"])]
    assert names == ["a.jpg", "b.png", "c.TIF", "notes.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none in it"):
        list_images([tmp_path / "empty"])
    with pytest.raises(InputNotFoundError, match="no such file or folder"):
        list_images([tmp_path / "missing"])


def test_real_raw_still(shared_data: Path) -> None:
    pixels = read_still(shared_data / "still16" / "boson_640x512_uint16.tiff")
    assert pixels.shape == (512, 640) and pixels.dtype == np.uint16
    assert (pixels.min(), pixels.max()) == (6743, 7077)


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG by hand, for what OpenCV does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + packed + chunk(b"IEND", b"")


def test_grey_with_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 8, 4, bytes([0, 10, 0, 20, 255])))
    assert read_still(path).tolist() == [[20, 20]], "what is transparent is not scene"
    path.write_bytes(png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 7000, 0, 9000, 65535)))
    assert read_still(path).tolist() == [[9000, 9000]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_at_the_edge_is_a_logo_not_a_palette(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "logo.png"
    top = np.iinfo(dtype).max
    picture = np.full((100, 100, 3), top // 3, dtype)
    picture[:19, :20] = (0, 0, top)
    cv2.imwrite(str(path), picture)
    assert read_still(path)[50, 50] == top // 3
    picture[5:70, 85:97] = (0, 0, top)
    cv2.imwrite(str(path), picture)
    assert read_still(path)[50, 50] == top // 3
    picture[30:60, 30:60] = (0, 0, top)
    cv2.imwrite(str(path), picture)
    with pytest.raises(FalseColourError):
        read_still(path)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    cv2.imwrite(str(path), np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1)))
    plain = path.read_bytes()
    # One IFD entry: tag 0x0112 (orientation), SHORT, 1 value: 6, turn clockwise.
    exif = b"Exif\0\0MM\0\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(plain[:2] + segment + plain[2:])
    pixels = read_still(path)
    assert pixels.shape == (64, 48)
    assert pixels[0].mean() < pixels[-1].mean()


@pytest.mark.parametrize(
    "damaged",
    [
        png(60000, 60000, 8, 0, b""),
        png(1 << 21, 4, 8, 0, b""),
        png(0, 4, 8, 0, b""),
        b"\x89PNG\r\n\x1a\n",
        b"",
    ],
    ids=["too-many-pixels", "too-wide", "no-width", "header-only", "empty"],
)
def test_damaged_files_are_input_errors(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "damaged.png"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"damaged\.png: expected an? ") as caught:
        read_still(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "folder.PNG").mkdir()
    with pytest.raises(InputError, match="expected an image file"):
        read_still(tmp_path / "folder.PNG")


@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_slight_tint_is_grey_at_every_depth(tmp_path: Path, dtype: type, unit: int) -> None:
    path = tmp_path / "tint.png"
    for spread, coloured in ((28, False), (29, True)):
        tint = np.array([100, 100, 100 + spread]) * unit
        cv2.imwrite(str(path), np.full((20, 20, 3), tint, dtype))
        if coloured:
            with pytest.raises(FalseColourError):
                read_still(path)
        else:
            assert read_still(path).shape == (20, 20)

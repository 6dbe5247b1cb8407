"""Single images: depth, colour order, and files that are no images."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.datasets import read_thermal, read_visible
from ladle_rt.errors import InputError, InputNotFoundError


def test_images_keep_depth_and_say_what_is_wrong(tmp_path: Path) -> None:
    counts = np.arange(64, dtype=np.uint16).reshape(8, 8) + 7000
    cv2.imwrite(str(tmp_path / "t.tiff"), counts)
    assert np.array_equal(read_thermal(tmp_path / "t.tiff"), counts)
    cv2.imwrite(str(tmp_path / "v.png"), np.full((4, 4, 3), (10, 20, 30), np.uint8))
    assert read_visible(tmp_path / "v.png")[0, 0].tolist() == [30, 20, 10]
    assert read_thermal(tmp_path / "v.png").shape == (4, 4)
    with pytest.raises(InputNotFoundError):
        read_thermal(tmp_path / "missing.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="does not decode"):
        read_visible(tmp_path / "empty.png")
    cv2.imwrite(str(tmp_path / "f.tiff"), np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="8- or 16-bit"):
        read_thermal(tmp_path / "f.tiff")
    with pytest.raises(InputError, match="expected an image file"):
        read_thermal(tmp_path)


def test_a_png_that_cannot_hold_what_it_claims_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    cv2.imwrite(str(path), np.zeros((2000, 2000), np.uint16))
    assert read_thermal(path).shape == (2000, 2000), "as small as a whole one can be"
    head = struct.pack(">4sIIBBBBB", b"IHDR", 7000, 7000, 16, 0, 0, 0, 0)
    data = path.read_bytes()
    claim = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    path.write_bytes(claim)
    with pytest.raises(InputError, match=r"a PNG of 7000x7000, received \d+ bytes"):
        read_thermal(path)


def test_a_png_whose_part_claims_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), np.arange(64 * 48, dtype=np.uint16).reshape(48, 64))
    data = bytearray(path.read_bytes())
    data[33:37] = (0xFF000525).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(InputError, match="a part that claims 4278191397; it is cut off"):
        read_thermal(path)

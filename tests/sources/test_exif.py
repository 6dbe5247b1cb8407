"""What a still says of itself goes along, upright."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from ladle_rt.frames import Picture
from ladle_rt.sinks.png import write_png
from ladle_rt.sources.exif import read_exif
from ladle_rt.sources.folder_source import FolderSource

GREY = np.tile(np.arange(40, dtype=np.uint8), (30, 1))


def still(path: Path, **options: object) -> Path:
    """A still with date, place and camera, on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "ACME"
    exif[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (50.0, 30.0, 0.0)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 40
    Image.fromarray(GREY).save(path, exif=exif, **options)
    return path


def written(path: Path, exif: bytes | None) -> Image.Exif:
    write_png(path, Picture("rgb24", np.zeros((40, 30, 3), np.uint8), 30, 40), exif=exif)
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        return image.getexif()


def test_camera_and_date_of_a_tiff_without_its_layout(tmp_path: Path) -> None:
    """Pillow writes no GPS into TIFF files, so there is none to be kept here."""
    found = written(tmp_path / "out.png", read_exif(still(tmp_path / "in.tiff")))
    assert found[ExifTags.Base.Make] == "ACME" and found[ExifTags.Base.Orientation] == 1
    assert not {ExifTags.Base.StripOffsets, ExifTags.Base.ImageWidth} & set(found)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_date_place_and_camera_are_kept_upright(tmp_path: Path, suffix: str) -> None:
    found = written(tmp_path / "out.png", read_exif(still(tmp_path / f"in{suffix}")))
    assert found[ExifTags.Base.Orientation] == 1
    assert found[ExifTags.Base.Make] == "ACME"
    assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (50.0, 30.0, 0.0)
    facts = found.get_ifd(ExifTags.IFD.Exif)
    assert facts[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert ExifTags.Base.ExifImageWidth not in facts


def test_stills_that_say_nothing_and_files_that_are_none(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no image")
    assert read_exif(tmp_path / "a.png") is None and read_exif(tmp_path / "b.jpg") is None
    assert not written(tmp_path / "out.png", None)


def test_what_cannot_go_along_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    still(tmp_path / "in.jpg", xmp=b"<x:xmpmeta/>")
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        assert read_exif(tmp_path / "in.jpg") is not None
    assert "in.jpg: XMP not carried over" in caplog.text


def test_the_case_of_the_issue(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data.parent / "cases" / "exif_gps_orient6.jpg"
    if not path.exists():
        pytest.skip("the cases are not beside the development data")
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        before = image.getexif()
        place = dict(before.get_ifd(ExifTags.IFD.GPSInfo))
    found = written(tmp_path / "out.png", read_exif(path))
    assert before[ExifTags.Base.Orientation] == 6 and found[ExifTags.Base.Orientation] == 1
    assert place and dict(found.get_ifd(ExifTags.IFD.GPSInfo)) == place


def test_a_sequence_says_that_facts_stay_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with caplog.at_level(logging.INFO, "ladle_rt"):
        FolderSource(tmp_path)
        assert "EXIF" not in caplog.text
        still(tmp_path / "0.jpg")
        FolderSource(tmp_path)
    assert caplog.text.count("the EXIF of its pictures (date, place) stays behind") == 1

"""Inputs as users really have them, each with its right value; they lie beside the checkout."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import FalseColourError, InputError
from ladle_rt.sources.folder_source import FolderSource
from ladle_rt.sources.still_images import list_images, read_scenes, read_stills
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.temperature import parse_scale
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.thermal.unpalette import find_palette, palette_levels


@pytest.fixture
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip("cases not present at ../shared/cases")
    return folder


@pytest.mark.parametrize(
    ("name", "options", "shape", "pictures", "said"),
    [
        ("rect_border16.png", {}, (256, 320), 1, ""),
        ("boson_320x258.png", {}, (256, 320), 1, "2 rows are telemetry"),
        ("tc001_USB_Camera.png", {}, (192, 256), 1, "the picture, its upper half"),
        ("real_FLIR_E40_masked.jpg", {}, (120, 160), 1, "its raw counts are read"),
        ("flir_like.fff", {}, (120, 160), 1, ""),
        ("flir_like.seq", {}, (120, 160), 3, ""),
        ("blackhot.png", {"polarity": "auto"}, (512, 640), 1, "taken as black-hot (sure)"),
        ("osd_colourbar.png", {}, (512, 640), 1, ""),
        ("dual_view.png", {"crop": (320, 0, 320, 256)}, (256, 320), 1, ""),
        ("palette_mode.png", {}, (256, 320), 1, ""),
        ("celsius_f32.tif", {}, (256, 320), 1, ""),
        ("celsius_i16.tif", {}, (252, 320), 1, ""),
        ("stack12.tif", {}, (128, 160), 12, ""),
        # Half of what its name says: 245,888 bytes are a header of 128 and six frames of 40,960.
        ("stack12.npy", {}, (128, 160), 6, ""),
        ("dump_160x128.y16", {"raw_size": (160, 128)}, (128, 160), 1, ""),
        ("exif_gps_orient6.jpg", {}, (320, 256), 1, ""),
    ],
)
def test_stills(
    cases: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, object],
    shape: tuple[int, int],
    pictures: int,
    said: str,
) -> None:
    with caplog.at_level(logging.INFO, "ladle_rt"):
        read = ReadOptions(**options)  # type: ignore[arg-type]
        found = list(read_stills(cases / name, options=read))
    assert [one.shape for one in found] == [shape] * pictures
    assert said in caplog.text
    # Fog is a picture that fills little of its own range.
    low, first, last, high = np.percentile(found[0], [0, 1, 99, 100])
    assert last - first > 0.3 * (high - low)


def test_refusals_say_how(cases: Path) -> None:
    with pytest.raises(InputError, match="--raw-size"):
        list(read_stills(cases / "dump_160x128.y16"))
    with pytest.raises(FalseColourError, match="--crop"):
        list(read_stills(cases / "dual_view.png"))


def test_the_palette_of_a_real_camera_is_known(cases: Path) -> None:
    """Where its raw counts and its picture in FLIR's iron lie in one file."""
    raw = next(read_stills(cases / "real_FLIR_E40_masked.jpg")).astype(np.float32)
    drawn = cv2.imread(str(cases / "real_FLIR_E40_masked.jpg"))
    rgb = np.ascontiguousarray(drawn[..., ::-1])
    assert find_palette(rgb, "x") == "flir-iron"
    clear = np.s_[40:130, 60:250]
    # By rank: the camera clips its picture at both ends.
    ranks = [
        values[clear].ravel().argsort().argsort()
        for values in (cv2.resize(raw, (320, 240)), palette_levels(rgb, "flir-iron"))
    ]
    assert np.corrcoef(*ranks)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "options", "shape", "frames", "said"),
    [
        ("tc001_record_256x384.mkv", {}, (192, 256), 6, "the raw counts, its lower half"),
        ("interlaced.ts", {}, (288, 360), 20, "interlaced; it is deinterlaced"),
        ("two_tracks.mp4", {"track": "thermal"}, (128, 160), 20, ""),
        ("two_tracks.mp4", {"track": 1}, (128, 160), 20, ""),
    ],
)
def test_videos(
    cases: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, object],
    shape: tuple[int, int],
    frames: int,
    said: str,
) -> None:
    read = ReadOptions(**options)  # type: ignore[arg-type]
    with (
        caplog.at_level(logging.INFO, "ladle_rt"),
        VideoSource(cases / name, read=read) as source,
    ):
        assert [frame.pixels.shape for frame in source] == [shape] * frames
    assert said in caplog.text


def test_folders(cases: Path) -> None:
    assert len(list(FolderSource(cases / "lepton_pgm"))) == 3
    assert len(list_images([cases / "nested"], recursive=True)) == 4


def test_a_real_camera_shows_the_degrees_that_are_read(cases: Path) -> None:
    """Its own screen says spot 20.9 degrees at the centre, and a scale from 18.3 to 23.9."""
    ((pixels, celsius),) = read_scenes(cases / "real_FLIR_E40_masked.jpg")
    assert celsius is not None
    height, width = pixels.shape
    spot = pixels[height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1]
    assert celsius.celsius(float(spot.mean())) == pytest.approx(20.9, abs=0.1)
    # The camera sets its scale a little within the extremes.
    assert 17.3 < celsius.celsius(float(pixels.min())) <= 18.3
    assert 23.9 <= celsius.celsius(float(pixels.max())) < 24.9


def test_stacked_raw_counts_are_64ths_of_a_kelvin(cases: Path) -> None:
    with VideoSource(cases / "tc001_record_256x384.mkv") as source:
        for frame in source:
            assert frame.celsius is not None
            ends = (float(end) for end in (frame.pixels.min(), frame.pixels.max()))
            coldest, hottest = map(frame.celsius.celsius, ends)
            assert -20 < coldest < hottest < 60


@pytest.mark.parametrize(
    ("name", "unit"), [("celsius_f32.tif", "celsius"), ("celsius_i16.tif", "celsius/10")]
)
def test_degrees_in_a_tiff_are_what_one_says(cases: Path, name: str, unit: str) -> None:
    read = ReadOptions(temperature=parse_scale(unit))
    ((pixels, celsius),) = read_scenes(cases / name, options=read)
    assert celsius is not None and celsius.celsius(float(pixels.min())) == pytest.approx(-12)
    assert celsius.celsius(float(pixels.max())) == pytest.approx(20.35, abs=0.06)
    ((_, unsaid),) = read_scenes(cases / name)
    assert unsaid is None, "the file does not say its unit, and nothing is guessed"

"""Sources say what their counts are in degrees, and only where they know it."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from ladle_rt.config import Isotherm
from ladle_rt.errors import FalseColourError, InputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.recording.recording_sink import RecordingSink
from ladle_rt.recording.recording_source import RecordingSource
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.folder_source import FolderSource
from ladle_rt.sources.gstreamer_source import GStreamerSource
from ladle_rt.sources.network_source import NetworkSource
from ladle_rt.sources.select import open_source
from ladle_rt.sources.still_images import read_scenes
from ladle_rt.sources.v4l2.camera_formats import COLOURED, decode_colours
from ladle_rt.temperature import UNITS, CelsiusScale, PlanckScale
from ladle_rt.thermal.isotherm import IsothermReader
from ladle_rt.thermal.scene_reader import ReadOptions, SceneReader
from ladle_rt.thermal.unpalette import PaletteReader

DEGREES = np.random.default_rng(0).normal(20, 1, (48, 64)).clip(15, 24)
DEGREES[10:20, 30:40] = 36.5
HOT = DEGREES > 35


def marked(frame: Frame, celsius: float) -> np.ndarray:
    hot = IsothermReader(Isotherm(celsius, "celsius")).read(frame)
    return np.zeros(frame.pixels.shape, bool) if hot is None else hot.mask


def tiff(path: Path, values: np.ndarray, description: str = "", gdal: str = "") -> Path:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if description:
        tags[270] = description
    if gdal:
        tags[42112] = gdal
    Image.fromarray(values).save(path, tiffinfo=tags)
    return path


@pytest.mark.parametrize(
    ("dtype", "unit"),
    [
        (np.float32, "celsius"), (np.float64, "kelvin"), (np.int16, "celsius/10"),
        (np.uint16, "kelvin/100"), (np.uint16, "kelvin/64"), (np.uint16, "optris"),
        (np.int32, "celsius/100"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("polarity", ["white-hot", "black-hot", "auto"])
def test_stated_units_hold_for_every_type_and_polarity(
    dtype: type, unit: str, polarity: str, caplog: pytest.LogCaptureFixture
) -> None:
    scale = UNITS[unit]
    values = np.vectorize(scale.counts)(DEGREES)
    plane = (np.rint(values) if np.dtype(dtype).kind in "iu" else values).astype(dtype)
    reader = SceneReader(ReadOptions(polarity=polarity, temperature=scale), "x")  # type: ignore[arg-type]
    pixels = reader.read(plane)
    np.testing.assert_array_equal(marked(Frame(pixels, 0, 0, celsius=reader.celsius), 35), HOT)
    assert ("not applied" in caplog.text) == (polarity == "black-hot")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colder_counts_that_are_larger_are_turned(dtype: type) -> None:
    """A black-hot picture whose owner knows its ends."""
    scale = CelsiusScale(-0.2, 50)
    plane = np.rint((DEGREES - 50) / -0.2).astype(dtype)
    reader = SceneReader(ReadOptions(temperature=scale), "x")
    pixels = reader.read(plane)
    assert np.array_equal(pixels, ~plane) and reader.celsius is not None and reader.celsius.rises
    np.testing.assert_array_equal(marked(Frame(pixels, 0, 0, celsius=reader.celsius), 35), HOT)


@pytest.mark.parametrize(
    ("values", "description", "gdal", "known"),
    [
        (DEGREES.astype(np.float32), "Temperature in Celsius", "", True),
        (DEGREES.astype(np.float32) + np.float32(273.15), "unit: Kelvin", "", True),
        (
            (DEGREES * 10).astype(np.uint16), "",
            '<GDALMetadata><Item name="a" role="unittype">degC</Item>'
            '<Item name="b" sample="0" role="scale">0.1</Item></GDALMetadata>', True,
        ),
        (DEGREES.astype(np.float32), "", "", False),
        ((DEGREES * 10).astype(np.uint16), "Celsius", "", False),
    ],
)  # fmt: skip
def test_tiffs_that_say_their_unit(
    tmp_path: Path, values: np.ndarray, description: str, gdal: str, known: bool
) -> None:
    path = tiff(tmp_path / "a.tif", values, description, gdal)
    ((pixels, celsius),) = read_scenes(path)
    assert (celsius is not None) == known
    if known:
        frame = next(iter(FolderSource(path)))
        np.testing.assert_array_equal(frame.pixels, pixels)
        np.testing.assert_array_equal(marked(frame, 35), HOT)


def test_recordings_keep_degrees(tmp_path: Path) -> None:
    scales = (CelsiusScale(0.01, -273.15), None, PlanckScale(14866.5, 0.011, 1395.7, 1, -5859))
    base = Fraction(1, 30)
    frames = [
        Frame(np.full((4, 6), 30_000, np.uint16), n, n, n, base, celsius=scale)
        for n, scale in enumerate(scales)
    ]
    sink = RecordingSink(tmp_path / "a.lrec", SinkContext(8, 8, Fraction(30), base))
    for frame in frames:
        sink.write(TranslatedFrame(frame, Picture("yuv420p", np.zeros((3, 2), np.uint8), 2, 2)))
    sink.close()
    with RecordingSource(tmp_path / "a.lrec") as source:
        assert [frame.celsius for frame in source] == list(scales)


def test_a_live_input_may_be_told_its_unit() -> None:
    read = ReadOptions(temperature=UNITS["kelvin/100"])
    with open_source("synthetic:96x64@90", SourceOptions(read=read)) as source:
        assert next(iter(source)).celsius == UNITS["kelvin/100"]


def drawn(palette: int, span: int = 256) -> np.ndarray:
    ramp = np.tile(np.linspace(0, span - 1, 64).astype(np.uint8), (48, 1))
    return np.ascontiguousarray(cv2.applyColorMap(ramp, palette)[..., ::-1])


def test_auto_decides_on_the_first_picture_that_shows_its_palette(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = PaletteReader("auto", "cam")
    with caplog.at_level(logging.INFO, "ladle_rt.input"):
        reader.levels(np.zeros((48, 64, 3), np.uint8))
        assert not caplog.text, "a black picture is in no palette and in all"
        for _ in range(2):
            levels = reader.levels(drawn(cv2.COLORMAP_INFERNO))
    assert caplog.text.count("cam: drawn in the palette inferno") == 1
    assert np.abs(levels[0].astype(int) - np.linspace(0, 255, 64)).max() < 8
    with pytest.raises(FalseColourError, match="none of the known palettes"):
        PaletteReader("auto", "cam").levels(np.random.default_rng(0).integers(
            0, 256, (48, 64, 3), dtype=np.uint8))  # fmt: skip


def test_a_network_stream_in_a_palette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands in for the network; what is read ahead of it is not thrown away."""
    monkeypatch.setattr("ladle_rt.sources.network_source.LOW_DELAY", {})
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=9)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        picture = av.VideoFrame.from_ndarray(drawn(cv2.COLORMAP_INFERNO), "rgb24")
        for _ in range(9):
            container.mux(stream.encode(picture.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    with pytest.raises(FalseColourError, match="--from-palette auto"):
        NetworkSource(str(path))
    options = SourceOptions(read=ReadOptions(from_palette="auto"))
    with NetworkSource(str(path), options) as source:
        levels = next(iter(source)).pixels
    assert np.abs(levels[0].astype(int) - np.linspace(0, 255, 64)).max() < 8


def test_a_pipeline_in_a_palette() -> None:
    class Capture:
        def __init__(self, image: np.ndarray) -> None:
            self.image = image

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def read(self) -> tuple[bool, np.ndarray]:
            return True, self.image

        def get(self, number: int) -> float:
            return 9.0

        def release(self) -> None:
            pass

    options = SourceOptions(read=ReadOptions(from_palette="auto"))
    coloured = Capture(np.ascontiguousarray(drawn(cv2.COLORMAP_INFERNO)[..., ::-1]))
    with GStreamerSource("x", options, lambda pipeline: coloured) as source:
        levels = next(iter(source)).pixels
    assert np.abs(levels[0].astype(int) - np.linspace(0, 255, 64)).max() < 8
    grey = Capture(np.zeros((48, 64), np.uint8))
    with (
        GStreamerSource("x", options, lambda pipeline: grey) as source,
        pytest.raises(InputError, match="expects colours"),
    ):
        next(iter(source))


@pytest.mark.parametrize("name", COLOURED)
def test_cameras_colours(name: str) -> None:
    rgb = drawn(cv2.COLORMAP_JET)
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    luma, chroma = yuv[:48], yuv[48:].reshape(2, 24, 32)
    if name == "MJPG":
        data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].ravel()
    elif name == "NV12":
        data = np.concatenate([luma.ravel(), np.stack(chroma, -1).ravel()])
    else:
        packed = np.empty((48, 64, 2), np.uint8)
        first = int(name == "UYVY")
        packed[..., first] = luma
        packed[:, 0::2, 1 - first], packed[:, 1::2, 1 - first] = (
            plane.repeat(2, axis=0) for plane in chroma
        )
        data = packed.ravel()
    found = decode_colours(data, name, 64, 48, 64 if name == "NV12" else 128)
    assert not isinstance(found, str)
    assert np.abs(found[:, 4:-4].astype(int) - rgb[:, 4:-4]).mean() < 12
    levels = PaletteReader("jet", "cam").levels(found)
    assert np.abs(levels[24, 8:-8] - np.linspace(0, 255, 64)[8:-8]).mean() < 6
    assert isinstance(decode_colours(data[:100], name, 64, 48, 128), str)

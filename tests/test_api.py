"""What ``import ladle_rt`` offers: files in and out, and what type checkers and `dir` see."""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_ramp

import ladle_rt
from ladle_rt import api
from ladle_rt.errors import ConfigError, InputError, ModelError, OutputError, PartialResultError

Rows = list[tuple[int, int | None]]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_ramp(tmp_path / "in.mkv", 12, "ffv1", "gray")


def test_the_names_are_those_of_the_api() -> None:
    assert set(ladle_rt.__all__) == {"__version__", *api.__all__}
    assert set(ladle_rt.__all__) <= set(dir(ladle_rt))
    for name in api.__all__:
        assert getattr(ladle_rt, name) is getattr(api, name)
        assert getattr(api, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = ladle_rt.lode  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ladle_rt.__file__).read_text(encoding="utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [a.name for node in imported if node.module == "ladle_rt.api" for a in node.names]
    assert sorted(names) == sorted(api.__all__)


def test_a_video_file_becomes_a_video_file(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    told: Rows = []
    target = tmp_path / "out.mp4"
    result = ladle_rt.translate_video(
        str(clip),
        str(target),
        model=tiny_model,
        threads=1,
        options=ladle_rt.TranslateOptions(
            start_s=0.08,
            duration_s=0.2,
            encoding=ladle_rt.VideoEncoding(preset="ultrafast"),
        ),
        progress=lambda run, expected: told.append((run.presented, expected)),
    )
    assert result.output == target and result.statistics.presented == 5
    assert told[-1][0] == 5 and {expected for _, expected in told} == {5}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert sum(1 for _ in ladle_rt.read_video(target, allow_colour=True)) == 5
    with pytest.raises(OutputError, match="already exists"):
        ladle_rt.translate_video(clip, target, model=tiny_model)


def test_a_stopped_video_says_so(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    stop = threading.Event()
    stop.set()
    result = ladle_rt.translate_video(clip, tmp_path / "out.mkv", model=tiny_model, stop=stop)
    assert result.output is None and result.statistics.stopped


def test_files_are_looked_at_before_the_model(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ladle_rt.translate_video(tmp_path / "no.mp4", tmp_path / "out.mp4", model="no-model")
    with pytest.raises(ModelError, match=r"'no-model': expected an .onnx file or one of"):
        ladle_rt.translate_video(clip, tmp_path / "out.mp4", model="no-model")


def test_a_video_is_read_frame_by_frame(clip: Path, tmp_path: Path) -> None:
    frames = list(ladle_rt.read_video(clip, start_s=0.2))
    assert [round(frame.time_s, 3) for frame in frames] == [n / 25 for n in range(7)]
    ramp = np.tile(np.linspace(20, 200, 64, dtype=np.uint8), (48, 1))
    assert np.array_equal(frames[0].pixels, np.roll(ramp, 5, axis=1))
    with pytest.raises(FileNotFoundError):
        ladle_rt.read_video(tmp_path / "no.mkv")
    reading = ladle_rt.read_video(clip)
    next(reading)
    reading.close()
    assert list(reading) == []


def test_stills_become_png_files(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.random.default_rng(1).integers(0, 60_000, (51, 77), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    out = tmp_path / "out"
    assert ladle_rt.translate_images([tmp_path], out, model=tiny_model, threads=1) == 1
    with ladle_rt.load(tiny_model, threads=1) as translate:
        assert np.array_equal(cv2.imread(str(out / "a.png"))[..., ::-1], translate(pixels))
    (tmp_path / "b.png").write_text("no image")
    with caplog.at_level(logging.ERROR, "ladle_rt"), pytest.raises(PartialResultError):
        ladle_rt.translate_images([tmp_path], out, model=tiny_model, overwrite=True)
    assert "b.png: expected an image" in caplog.text
    with pytest.raises(InputError, match="none of 1 images"):
        ladle_rt.translate_images([tmp_path / "b.png"], out, on_failure=lambda error: None)


def test_settings_by_name_go_before_the_options() -> None:
    options = ladle_rt.TranslateOptions(size=(64, 96), threads=3, detail="guided")
    assert api._settings(options, "auto", None, None) == options
    chosen = api._settings(options, "torch", "best", 2)
    assert (chosen.backend, chosen.quality, chosen.size) == ("torch", "best", None)
    assert (chosen.threads, chosen.detail) == (2, "guided")
    own = api._settings(ladle_rt.TranslateOptions(quality="fast"), "auto", (96, 128), None)
    assert (own.quality, own.size) == (None, (96, 128))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: ladle_rt.load(quality="better"),  # type: ignore[arg-type]
        lambda: ladle_rt.load(quality=(8, 8)),
        lambda: ladle_rt.load(threads=0),
        lambda: ladle_rt.load(backend="cuda"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_range(refused: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        refused()
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)

"""``ladle-rt image`` as users run it: what is written, what is refused, what the exit code says."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.image_command import command
from ladle_rt.cuda.probe import CudaUnavailableError, NoCudaDriverError, probe_cuda
from ladle_rt.errors import (
    ConfigError,
    InputError,
    InputNotFoundError,
    LadleError,
    ModelError,
    OutputError,
    PartialResultError,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, shape in (("a", (51, 77)), ("b", (64, 96)), ("c", (1, 1))):
        pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    return folder


def run(tiny_model: Path, *arguments: object) -> Result:
    words = [*map(str, arguments), "--model", str(tiny_model)]
    return CliRunner().invoke(command, words, catch_exceptions=True)


def test_folder_in_folder_out(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = run(tiny_model, stills, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: 3 images\n"
    for source in stills.iterdir():
        picture = cv2.imread(str(out / source.name), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (*cv2.imread(str(source), 0).shape, 3)
    assert np.ptp(cv2.imread(str(out / "b.png")).astype(int), axis=2).max() > 30


def test_every_still_has_its_own_levels(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    run(tiny_model, stills, "-o", tmp_path / "all")
    run(tiny_model, stills / "b.png", "-o", tmp_path / "one")
    assert (tmp_path / "all/b.png").read_bytes() == (tmp_path / "one/b.png").read_bytes()


def test_good_ones_are_written_beside_bad_ones(
    tiny_model: Path, stills: Path, tmp_path: Path
) -> None:
    (stills / "bad.png").write_text("no image")
    result = run(tiny_model, stills, "-o", tmp_path / "out")
    assert isinstance(result.exception, PartialResultError)
    assert "1 of 4 images failed" in str(result.exception)
    assert "bad.png: expected an image" in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["missing.png"], InputNotFoundError, "no such file or folder"),
        (["empty"], InputError, "found none in it"),
        (["in", "--size", "8x8"], ConfigError, "size must be within 32x32 to 2048x2048"),
        (["in/bad.txt"], InputError, "none of 1 images"),
    ],
)
def test_refusals(
    tiny_model: Path,
    stills: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    kind: type[LadleError],
    message: str,
) -> None:
    (stills / "bad.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run(tiny_model, *arguments, "-o", "out")
    assert isinstance(result.exception, kind)
    assert message in str(result.exception)
    assert not list(tmp_path.glob("out/*"))


def test_targets_are_checked_before_any_work(
    tiny_model: Path, stills: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(stills / "a.jpg"), np.zeros((8, 8), np.uint8))
    result = run(tiny_model, stills, "-o", tmp_path / "out")
    assert isinstance(result.exception, OutputError)
    assert "would both become a.png" in str(result.exception)
    (stills / "a.jpg").unlink()
    result = run(tiny_model, stills, "-o", stills, "--overwrite")
    assert "same file" in str(result.exception)
    (tmp_path / "file").touch()
    result = run(tiny_model, stills, "-o", tmp_path / "file")
    assert "found a file" in str(result.exception)
    assert run(tiny_model, stills, "-o", tmp_path / "out").exit_code == 0
    result = run(tiny_model, stills, "-o", tmp_path / "out")
    assert "already exists" in str(result.exception)
    assert run(tiny_model, stills, "-o", tmp_path / "out", "--overwrite").exit_code == 0


def test_size_is_width_by_height(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    result = run(tiny_model, stills, "-o", tmp_path / "out", "--size", "64")
    assert result.exit_code == 2
    assert "expected WIDTHxHEIGHT such as 256x192, received '64'" in result.stderr


def gpu_problem() -> CudaUnavailableError | None:
    try:
        probe_cuda()
    except CudaUnavailableError as error:
        return error
    return None


def ladle(*words: object) -> subprocess.CompletedProcess[str]:
    """The program itself, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ladle_rt", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_program_says_what_failed_and_exits_with_3(
    tiny_model: Path, stills: Path, tmp_path: Path
) -> None:
    (stills / "bad.png").write_text("no image")
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    cv2.imwrite(str(stills / "iron.png"), cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO))
    cv2.imwrite(str(stills / "float.tiff"), np.full((4, 4), np.nan, np.float32))
    done = ladle("image", stills, "-o", tmp_path / "out", "--model", tiny_model)
    assert done.returncode == 3 and done.stdout == ""
    told, *lines = [line for line in done.stderr.splitlines() if line.startswith("ladle-rt: ")]
    assert told.startswith("ladle-rt: info: ") and len(lines) == 4
    if isinstance(gpu_problem(), NoCudaDriverError):
        assert "CUDA" not in done.stderr, "no news where nobody has ever had a GPU"
    for line, part in zip(lines, ("bad.png", "float.tiff", "iron.png", "3 of 6"), strict=True):
        assert line.startswith("ladle-rt: error: ") and part in line
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]


def test_the_program_refuses_in_one_line(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    done = ladle("image", missing, "-o", tmp_path / "out", "--model", tiny_model)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ladle-rt: error: {missing}: no such file or folder\n"


def test_palettes_need_a_word(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "iron.png"
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    cv2.imwrite(str(path), cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO))
    result = run(tiny_model, path, "-o", tmp_path / "out")
    assert isinstance(result.exception, InputError)
    assert "--allow-colour" in result.stderr
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        result = run(tiny_model, path, "-o", tmp_path / "out", "--allow-colour")
    assert result.exit_code == 0
    assert "its luminance is used" in caplog.text
    assert cv2.imread(str(tmp_path / "out/iron.png")).shape == (48, 64, 3)


def test_options_reach_the_translator(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(stills / "b.png"), np.tile(np.arange(240, dtype=np.uint8), (199, 1)))

    def made(*flags: str) -> np.ndarray:
        out = tmp_path / "-".join(("out", *flags))
        result = run(tiny_model, stills / "b.png", "-o", out, *flags)
        assert result.exit_code == 0, result.output
        return cv2.imread(str(out / "b.png"))

    plain = made()
    assert plain.shape == (199, 240, 3)
    both = made("--layout", "side-by-side")
    assert both.shape == (199, 480, 3) and np.array_equal(both[:, 240:], plain)
    changed = np.argwhere((made("--mark") != plain).any(axis=2))
    assert changed.size and changed[:, 0].min() > 99
    for flags in (("--detail", "guided"), ("--size", "64x32"), ("--quality", "96x32")):
        assert not np.array_equal(made(*flags), plain), flags
    same = (("--threads", "1"), ("--detail", "none"), ("--size", "96x64"), ("--quality", "96x64"))
    # A model without a look works in what it was trained with unless told otherwise.
    for flags in (*same, ("--quality", "fast")):
        assert np.array_equal(made(*flags), plain), flags
    assert not np.array_equal(made("--quality", "best"), plain)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--threads", "0"], "--threads"),
        (["--backend", "cuda"], "--backend"),
        (["--detail", "sharp"], "--detail"),
        (["--quality", "better"], "expected fast, balanced, best or WIDTHxHEIGHT"),
        (["--size", "0x64"], "expected WIDTHxHEIGHT"),
        (["--size", "64x"], "expected WIDTHxHEIGHT"),
        (["--size", "64x64x64"], "expected WIDTHxHEIGHT"),
        (["--size=-64x64"], "expected WIDTHxHEIGHT"),
    ],
)
def test_wrong_words_are_usage_errors(
    tiny_model: Path, stills: Path, tmp_path: Path, words: list[str], part: str
) -> None:
    result = run(tiny_model, stills, "-o", tmp_path / "out", *words)
    assert result.exit_code == 2 and part in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_none_is_refused_before_the_output_is_made(
    stills: Path, tmp_path: Path
) -> None:
    result = run(tmp_path / "missing.onnx", stills, "-o", tmp_path / "out")
    assert isinstance(result.exception, ModelError)
    assert not (tmp_path / "out").exists()

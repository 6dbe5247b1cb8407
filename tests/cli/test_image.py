"""``ladle-rt image`` as users run it: what is written, what is refused, what the exit code says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli.image import command
from ladle_rt.errors import (
    ConfigError,
    InputError,
    InputNotFoundError,
    LadleError,
    OutputError,
    PartialResultError,
)


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
        (["in", "--size", "8x8"], ConfigError, "size must be at least 32x32"),
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


def test_size_is_height_by_width(tiny_model: Path, stills: Path, tmp_path: Path) -> None:
    result = run(tiny_model, stills, "-o", tmp_path / "out", "--size", "64")
    assert result.exit_code == 2
    assert "expected HEIGHTxWIDTH such as 192x256, received '64'" in result.stderr

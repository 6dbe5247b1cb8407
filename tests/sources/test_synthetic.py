"""The synthetic drive: deterministic, thermal-looking, of the size that was asked for."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from ladle_rt.cli.sample import command
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.sources.base import Source
from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource


def test_same_options_same_drive() -> None:
    options = DriveOptions(width=160, height=128, seconds=0.1)
    first, second = (list(SyntheticSource(options)) for _ in range(2))
    assert [frame.pts for frame in first] == [0, 1, 2]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))
    other = next(iter(SyntheticSource(DriveOptions(160, 128, seconds=0.1, seed=2))))
    assert not np.array_equal(first[0].pixels, other.pixels)


def test_it_looks_like_a_drive_by_day() -> None:
    with SyntheticSource(DriveOptions(seconds=1)) as source:
        assert isinstance(source, Source)
        frames = [frame.pixels for frame in source]
    assert source.info.frames == len(frames) == 30
    assert frames[0].shape == (512, 640) and frames[0].dtype == np.uint8
    sky, road = frames[0][:80], frames[0][450:, 200:440]
    assert sky.mean() < 60 < 150 < road.mean()
    moved = np.abs(frames[-1].astype(int) - frames[0])[220:].mean()
    noise = np.abs(frames[1].astype(int) - frames[0])[:80].mean()
    assert moved > 3 * noise


@pytest.mark.parametrize(
    "values", [{"width": 8}, {"rate": 0}, {"seconds": 0.0}, {"seed": -1}, {"height": 9000}]
)
def test_bad_options(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        DriveOptions(**values)  # type: ignore[arg-type]


def test_sample_command(tmp_path: Path) -> None:
    path = tmp_path / "t.mp4"
    words = [str(path), "--size", "96x64", "--seconds", "0.5", "--fps", "20"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 10 and (frames[0].width, frames[0].height) == (96, 64)
    planes = frames[0].to_ndarray(format="yuv420p")
    assert np.abs(planes[64:].astype(int) - 128).max() <= 2
    assert isinstance(CliRunner().invoke(command, words).exception, OutputError)
    assert CliRunner().invoke(command, [*words, "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(command, [str(path), "--size", "95x64"]).exit_code == 2

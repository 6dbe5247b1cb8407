"""Work goes on where nobody reads what is said, and nothing is said into a file of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import frame_count

SAMPLE = [
    sys.executable,
    "-m",
    "ladle_rt",
    "sample",
    "t.mp4",
    "--seconds",
    "0.2",
    "--size",
    "96x64",
]
ENGINE = ["--backend", "onnxruntime", "--model"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="closes streams by the shell")


def shell(folder: Path, line: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", line, "sh", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    made = shell(folder, '"$@"', SAMPLE)
    assert made.returncode == 0, made.stderr
    return folder / "t.mp4"


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams(clip: Path, tmp_path: Path, tiny_model: Path, closed: str) -> None:
    """Each way once: the same lines open the streams for every command."""
    video = [*SAMPLE[:3], "video", str(clip), "out.mp4", *ENGINE, str(tiny_model)]
    assert shell(tmp_path, f'"$@" {closed}', video).returncode == 0
    assert frame_count(tmp_path / "out.mp4") == frame_count(clip)


def test_files_and_exit_codes_with_closed_streams(clip: Path, tmp_path: Path) -> None:
    assert shell(tmp_path, '"$@" 0<&- 1>&- 2>&-', SAMPLE).returncode == 0
    assert (tmp_path / "t.mp4").stat().st_size == clip.stat().st_size
    missing = [*SAMPLE[:3], "video", "none.mp4", "o.mp4"]
    assert shell(tmp_path, '"$@" 2>&-', missing).returncode == 1


def test_a_reader_of_standard_error_that_has_gone(tmp_path: Path, tiny_model: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    live = ["stream", "--device", "synthetic", "--max-frames", "5", "--log-every", "0.01"]
    words = [*SAMPLE[:3], *live, "--output", "out.mkv", *ENGINE, str(tiny_model)]
    try:
        done = subprocess.run(words, cwd=tmp_path, stderr=write, check=False, timeout=120)
    finally:
        os.close(write)
    assert done.returncode == 0
    assert (tmp_path / "out.mkv").stat().st_size > 0


def test_a_reader_of_standard_output_that_has_gone(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    # What can be trained is left out: it takes torch and all of its networks.
    code = "import sys; sys.modules['torch'] = None; from ladle_rt.cli import main; main()"
    words = [sys.executable, "-c", code, "models"]
    try:
        done = subprocess.run(
            words, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert done.returncode == 1 and done.stderr == ""

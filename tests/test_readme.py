"""Every command of the README runs, in order, in one folder that starts empty."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Lines of the README's bash blocks, split at ``&&``."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [part.strip() for line in lines for part in line.split("&&")]


def test_first_two_blocks_are_the_main_job_and_the_tests() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert blocks[0].strip() == (
        "pip install . && ladle-rt sample t.mp4 && ladle-rt video t.mp4 out.mp4"
    )
    assert blocks[1].strip() == "pip install -c constraints.txt '.[dev]' && pytest -n 2"


def test_setup_commands_are_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    setup = [command for command in commands() if command.startswith(("pip", "pytest"))]
    assert setup == ["pip install .", "pip install -c constraints.txt '.[dev]'", "pytest -n 2"]
    for command in ("pip install -q -c constraints.txt .", "'.[dev]'", "\npytest -n 2\n"):
        assert command in script


@pytest.mark.timeout(900)  # Two dozen programs, one after the other.
def test_commands_run(tmp_path: Path) -> None:
    ours = [command for command in commands() if command.startswith("ladle-rt")]
    assert len(ours) >= 10
    for command in ours:
        arguments = [sys.executable, "-m", "ladle_rt", *command.split()[1:]]
        done = subprocess.run(
            arguments,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        if "/dev/video0" in command and not Path("/dev/video0").exists():
            # Without a camera there is at least the one line that says so.
            assert done.returncode == 1 and "no such device" in done.stderr, done.stderr
            continue
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if command.startswith("ladle-rt export runs/"):
            assert "0.36 M parameters" in done.stdout
    made = (
        "out.mp4",
        "side.mp4",
        "colour/frame.png",
        "mine.onnx",
        "sheet.png",
        "mine.mp4",
        "live.mkv",
        "s.jsonl",
    )
    for name in made:
        assert (tmp_path / name).stat().st_size > 0
    # The Python of the README, where the commands have left their files.
    (python,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    given = (
        "import numpy as np\nthermal = np.eye(96, 128, dtype=np.uint8) * 200\nframes = [thermal]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", given + python],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.mp4").stat().st_size > 0

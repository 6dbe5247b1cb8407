"""The command in a process of its own: start, reload by signal, orderly end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "ladle_rt", "serve"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "LADLE_RT_TOKEN": "a-token-of-mine"}
CAMERA = '[[camera]]\nname = "one"\nsource = "synthetic:64x48@10"\n'


@pytest.fixture
def path(tmp_path: Path, tiny_model: Path) -> Path:
    path = tmp_path / "cameras.toml"
    path.write_text(f'[page]\naddress = "0"\n[engine]\nmodel = "{tiny_model}"\n{CAMERA}')
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )


def test_check_says_what_is_wrong_and_starts_nothing(path: Path) -> None:
    done = run("--check", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: cameras one\n")
    path.write_text(CAMERA.replace("source", "sorce"))
    done = run("--check", path)
    assert done.returncode == 1 and "did you mean source?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "expected TOML" in run(path.with_name("nonesuch.toml")).stderr


def test_a_service_from_its_start_to_its_end(path: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, str(path)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()

    def said(pattern: str) -> Callable[[], Any]:
        return lambda: next((m for line in lines if (m := re.search(pattern, line))), None)

    try:
        url = wait_for(said(r"page: (\S+/)\?token=a-token-of-mine"))[1]
        wait_for(lambda: answer(f"{url}healthz?token=a-token-of-mine") == 200)
        assert answer(f"{url}healthz") == 403
        # Broken, and read at once because of the signal.
        path.write_text(path.read_text() + "[[camera]]\nnme = 1\n")
        process.send_signal(signal.SIGHUP)
        wait_for(said("did you mean name.*; everything goes on as it was"))
        assert answer(f"{url}healthz?token=a-token-of-mine") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    reader.join(10)
    counts = re.search(r"one: (\d+) of (\d+) frames presented", lines[-1])
    assert counts is not None and 0 < int(counts[1]) <= int(counts[2]), lines


def answer(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        return error.code

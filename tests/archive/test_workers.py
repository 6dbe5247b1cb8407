"""Real processes: killed workers, and workers of a killed driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from archives import Lab
from clips import frame_count
from waiting import wait_for

from ladle_rt.archive.shipped_model import pack
from ladle_rt.archive.workers import LocalWorkers, local_workers
from ladle_rt.models.artifact import load_artifact


def test_kill_a_worker_then_the_driver_then_finish(lab: Lab) -> None:
    lab.record(frames=900)
    out = lab.out
    command = [
        *(sys.executable, "-m", "ladle_rt", "archive", "in", "out", "--model", str(lab.model)),
        *("--segment", "3", "--workers", "2", "--threads", "1", "--preset", "ultrafast"),
    ]

    temporary = lab.folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}

    def finished() -> int:
        return len(list((out / ".ladle-rt" / "cuts").glob("*/0*.json")))

    driver = subprocess.Popen(
        command, cwd=lab.folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    # A worker that has begun, not Python's own helper process.
    wait_for(finished, 120)
    workers = [
        one
        for one in psutil.Process(driver.pid).children()
        if "spawn_main" in " ".join(one.cmdline())
    ]
    workers[0].kill()
    before = finished()
    wait_for(lambda: finished() > before + 2, 120)
    assert driver.poll() is None, driver.communicate()
    everyone = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    _, told = driver.communicate()
    assert "it is done again" in told
    psutil.wait_procs(everyone, timeout=60)
    assert not any(one.is_running() and one.status() != "zombie" for one in everyone)
    done = finished()
    assert 0 < done < 30
    last = subprocess.run(
        command,
        cwd=lab.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert last.returncode == 0, last.stderr
    assert f"{done} segments were there" in last.stdout
    assert frame_count(out / "a.mp4") == 900
    left = [one.name for one in (out / ".ladle-rt").rglob("*.nut")]
    assert not left and not list(out.glob(".ladle-rt/.scratch*"))
    assert list(temporary.iterdir()) == [], "copies of the model, of killed workers too"


def test_memory_holds_further_workers_back(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = LocalWorkers(2, 1, pack(load_artifact(tiny_model)))
    available = psutil.virtual_memory()._replace(available=100 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    try:
        assert workers.has_room()
        monkeypatch.setitem(workers._busy, object(), (None, 0))
        assert not workers.has_room()
    finally:
        workers._busy.clear()
        workers.close()
    assert local_workers(None, 1) == (1, 1)
    assert local_workers(3, 2) == (3, 2)

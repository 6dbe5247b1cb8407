"""A run may end at any moment of a plan's build: it ends cleanly, and the next one has the plan.

TensorRT-RTX really builds, for a GPU that is not here, so that nothing but the last step, opening
the plan, is missing.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

RUN = """
import logging, os, signal, sys, time
from pathlib import Path
import numpy as np
from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import plans, select

model, folder, how, after_s = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s")
select.probe_cuda = lambda: (CudaDevice("Ada", (8, 9), "13.1"),)
select.require_binding = lambda binding: None
plans.settings_for = lambda info, sizes, batch: BuildSettings(sizes=tuple(sizes), targets=("sm89",))
factory = select.TranslatorFactory(
    load_artifact(model),
    TranslateOptions(engines=Path(folder), threads=1),
    "fast",
    select.FOR_ARRAYS,
)
translator = factory((64, 96))
translator.submit(Frame(np.zeros((64, 96), np.uint8), 0, timestamp_ns=0))
translator.collect(60)
if how == "wait":
    assert translator.engine.ready.wait(240)
time.sleep(float(after_s))
if how == "close":
    translator.close()
elif how == "exit":
    sys.exit(5)
elif how == "interrupt":
    os.killpg(os.getpgrp(), signal.SIGINT)
elif how == "error":
    raise RuntimeError("a bug")
elif how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""
WAYS = {
    "end": 0,
    "close": 0,
    "exit": 5,
    "error": 1,
    # What Python makes of Ctrl-C.
    "interrupt": -signal.SIGINT,
    "kill": -signal.SIGKILL,
}
LIMIT_S = 240


def leave(model: Path, folder: Path, how: str, after_s: float) -> str:
    """Run and leave; what it told."""
    # A group of its own, as a terminal gives it: Ctrl-C reaches all of it.
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(model), str(folder), how, str(after_s)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        start_new_session=True,
    )
    assert done.returncode == WAYS.get(how, 0), done.stderr
    assert "Fatal" not in done.stderr
    return done.stderr


def wait_for_plan(folder: Path) -> Path:
    deadline = time.monotonic() + LIMIT_S
    while not list(folder.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (plan,) = folder.glob("*.plan")
    return plan


def test_a_plan_is_built_after_the_end(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    told = leave(tiny_model, folder, "end", 0)
    assert "goes on building the plan, for the next run" in told
    assert wait_for_plan(folder).stat().st_size


def test_the_next_run_has_the_plan(tiny_model: Path, tmp_path: Path) -> None:
    """Whole, whoever was interrupted while it was built."""
    folder = tmp_path / "engines"
    told = leave(tiny_model, folder, "interrupt", 0.5)
    assert "goes on building the plan, for the next run" in told
    plan = wait_for_plan(folder)
    again = leave(tiny_model, folder, "wait", 0)
    # It would be opened now; here is no GPU to open it on.
    assert f"tensorrt: {plan.name}" in again and "going on with onnxruntime" in again
    assert "building" not in again


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_twenty_clean_exits(tmp_path: Path, number: int) -> None:
    """At twenty moments of the shipped model's build, in every way."""
    from ladle_rt.models.artifact import load_artifact

    folder = tmp_path / "engines"
    how = list(WAYS)[number % len(WAYS)]
    leave(load_artifact().onnx_path, folder, how, number * 0.5)
    wait_for_plan(folder)

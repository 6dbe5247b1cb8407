"""What OpenVINO does to the process around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino", reason="needs the openvino extra")
ROOT = Path(__file__).resolve().parents[2]

REPLACE_AND_INTERRUPT = """
import gc, signal, sys
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate import load_network

signal.signal(signal.SIGINT, lambda number, frame: print("handled"))
artifact = load_artifact(sys.argv[1])
network = load_network(artifact, "openvino")
network = load_network(artifact, "openvino")
del network
gc.collect()
signal.raise_signal(signal.SIGINT)
"""


def test_an_interrupt_after_networks_were_replaced(tiny_model: Path) -> None:
    """A signal finds no freed signal stack; in a process of its own, which a failure kills."""
    done = subprocess.run(
        [sys.executable, "-c", REPLACE_AND_INTERRUPT, str(tiny_model)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr

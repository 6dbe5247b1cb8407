"""Choosing a GPU: by number or UUID, once, before CUDA starts; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, sys
from ladle_rt.errors import ConfigError
from ladle_rt.translate import gpu_selection
visible, started, *wanted = sys.argv[1:]
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
os.environ.pop("CUDA_DEVICE_ORDER", None)
if visible != "unset":
    os.environ["CUDA_VISIBLE_DEVICES"] = visible
gpu_selection._cuda_started = lambda: started == "started"
try:
    for name in wanted:
        gpu_selection.select_gpu(name)
except ConfigError as error:
    print(error)
else:
    print(os.environ["CUDA_VISIBLE_DEVICES"], os.environ.get("CUDA_DEVICE_ORDER"))
"""


@pytest.mark.parametrize(
    ("visible", "started", "wanted", "told"),
    [
        ("unset", "", ["1"], "1 PCI_BUS_ID"),
        ("unset", "", ["GPU-8932f937"], "GPU-8932f937 PCI_BUS_ID"),
        ("unset", "", ["MIG-GPU-8932f937/1/0"], "MIG-GPU-8932f937/1/0 PCI_BUS_ID"),
        ("2,3", "", ["1"], "3 None"),
        ("GPU-aa, GPU-bb", "", ["1", "1"], "GPU-bb None"),
        ("2,3", "", ["2"], "gpu 2: CUDA_VISIBLE_DEVICES shows 2 (2,3), counted from 0"),
        ("", "", ["0"], "gpu 0: CUDA_VISIBLE_DEVICES shows 0 (none), counted from 0"),
        (
            "unset",
            "",
            ["ada"],
            "gpu: expected a number or a UUID as `nvidia-smi -L` prints them, received 'ada'",
        ),
        (
            "unset",
            "",
            ["0", "1"],
            "gpu 1: this process already uses GPU 0; start another process for it",
        ),
        (
            "unset",
            "started",
            ["1"],
            "gpu 1: this process already uses CUDA; start another process for it",
        ),
    ],
)
def test_selection(visible: str, started: str, wanted: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, visible, started, *wanted],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == told

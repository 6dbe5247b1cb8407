"""Choosing a GPU: by number or UUID, once, before CUDA starts."""

from __future__ import annotations

import os

import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.translate import gpu_selection


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
def test_selection(
    visible: str, started: str, wanted: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {} if visible == "unset" else {"CUDA_VISIBLE_DEVICES": visible}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(gpu_selection, "_selected", None)
    monkeypatch.setattr(gpu_selection, "_cuda_started", lambda: started == "started")

    def select() -> str:
        try:
            for name in wanted:
                gpu_selection.select_gpu(name)
        except ConfigError as error:
            return str(error)
        return f"{environment['CUDA_VISIBLE_DEVICES']} {environment.get('CUDA_DEVICE_ORDER')}"

    assert select() == told

"""``ladle-rt models`` lists what ships and what can be trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ladle_rt.cli.models_command import command
from ladle_rt.errors import ModelError
from ladle_rt.models import listing
from ladle_rt.models.listing import registered_rows, shipped_rows
from ladle_rt.models.registry import ARCHITECTURES


def test_shipped_and_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = registered_rows()
    # Counting takes long: once for the command and for what it is compared with.
    monkeypatch.setattr(listing, "registered_rows", lambda: registered)
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    presets = [
        f"{name} {preset}" for name in ARCHITECTURES for preset in ARCHITECTURES[name].presets
    ]
    assert {"ladlenet-plus compact", "unet paper", "bridged-unet paper", "pix2pix paper"} <= {
        *presets
    }
    for text in ("ladlenet-compact", "34.77", "GMAC", *presets):
        assert text in result.stdout
    assert "\x1b" not in result.stdout, "no terminal, no escape codes"
    (row,) = [row for row in registered if row.name == "ladlenet compact"]
    (shipped,) = [row for row in shipped_rows() if row.name == "ladlenet-compact"]
    assert (row.parameters, row.macs) == (shipped.parameters, shipped.macs)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(command)
    assert result.exit_code == 0
    assert "ladle-rt[train]" in result.stdout and "paper" not in result.stdout


def test_a_damaged_shipped_model_is_named(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny_model.read_bytes())
    monkeypatch.setattr(listing, "shipped_models", lambda: {str(damaged): damaged})
    with pytest.raises(ModelError, match=r"damaged\.json"):
        shipped_rows()

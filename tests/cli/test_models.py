"""``ladle-rt models`` lists what ships and what can be trained."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from ladle_rt.cli.models import command
from ladle_rt.models.listing import registered_rows, shipped_rows


def test_shipped_and_registered() -> None:
    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    for text in ("ladlenet-compact", "ladlenet paper", "34.77", "GMAC"):
        assert text in result.stdout
    (row,) = [row for row in registered_rows() if row.name == "ladlenet compact"]
    (shipped,) = [row for row in shipped_rows() if row.name == "ladlenet-compact"]
    assert (row.parameters, row.macs) == (shipped.parameters, shipped.macs)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(command)
    assert result.exit_code == 0
    assert "ladle-rt[train]" in result.stdout and "paper" not in result.stdout

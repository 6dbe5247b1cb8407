"""Tables in texts are those of the recorded results."""

from __future__ import annotations

import json
from pathlib import Path

import fill_figures
import pytest
from fill_figures import BLOCKS, MARKED, TEXTS, filled


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_texts_agree_with_the_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert filled(text, path.name) == text, "run python benchmarks/fill_figures.py"


def test_every_block_stands_somewhere() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in TEXTS)
    assert {found[1] for found in MARKED.findall(texts)} == set(BLOCKS)


def test_a_changed_result_changes_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = filled("<!-- figures: live -->\n<!-- end -->\n", "a text")
    record = json.loads((fill_figures.RESULTS / "live_latency.json").read_text(encoding="utf-8"))
    record["results"]["1x"]["latency_ms"]["p99"] = 987.6
    (tmp_path / "live_latency.json").write_text(json.dumps(record))
    monkeypatch.setattr(fill_figures, "RESULTS", tmp_path)
    assert "987.6" not in before and "987.6" in filled(before, "a text")
    assert record["machine"]["cpu"] in before, "the machine is named"


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a text: expected a block of .*received 'none'"):
        filled("<!-- figures: none -->\n<!-- end -->\n", "a text")

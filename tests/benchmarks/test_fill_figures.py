"""Tables in texts are those of the recorded results."""

from __future__ import annotations

import json
from pathlib import Path

import fill_figures
import pytest
from fill_figures import BLOCKS, MARKED, TEXTS, filled
from scale_figures import thousand


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


def test_without_a_record_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_figures, "RESULTS", tmp_path)
    text = filled("<!-- figures: archive -->\n99 nodes\n<!-- end -->\n", "a text")
    assert "No run is recorded yet" in text and "archive_scale.json" in text and "99" not in text


def test_what_is_full_first_follows_from_what_was_measured() -> None:
    record = {
        "machine": {"cores": 2, "cpu": "a CPU", "system": "Linux"},
        "date": "2026-11-29",
        "settings": {"seconds": 120},
        "results": {
            "driver": {
                **{"cpu_ms_per_event": 0.5, "events_per_s": 1900.0},
                **{"event_bytes": 400, "model_bytes": 2**20},
            },
            "turns": {"recording_bytes": 2**20, "video_bytes": 2**20},
            "requests": {"per_segment": {"put": 1.0, "write": 1.0, "read": 4.0, "names": 0.0}},
        },
    }
    # 13 events a minute of 0.5 ms each: 60,000 / 6.5 workers.
    assert "| the driver's core | 9,231 | 1,154 |" in thousand(record)
    assert "First full is the driver's round trips" in thousand(record)
    record["results"]["driver"]["events_per_s"] = 10_000.0
    assert "First full is the driver's core" in thousand(record)
    record["results"]["requests"]["per_segment"]["put"] = 1000.0
    assert "First full is the storage" in thousand(record)

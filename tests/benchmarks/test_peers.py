"""The turns of peers, and ratios within a turn; two real peers on a short clip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peers
import pytest
from click.testing import CliRunner
from peer_loops import LOOPS
from peers import TITLES, PeerError, Turn, measure, run_turn, skipped, summarize

from ladle_rt.cli.sample_command import command as sample
from ladle_rt.models.artifact import load_artifact


def turn(fps: float) -> Turn:
    return Turn(fps, 1 / fps, 2.0, 100.0, 20.0, 30.0)


def test_ratios_are_taken_within_a_turn() -> None:
    """A machine that halves its speed from turn to turn changes no ratio."""
    found = summarize({"naive": [turn(40), turn(20)], "ours": [turn(60), turn(30)]})
    assert found["ours"]["of_naive"]["fps"] == [1.5, 1.5, 1.5]
    assert found["ours"]["fps"] == [30, 45, 60]
    assert "of_naive" not in summarize({"ours": [turn(60)]})["ours"]


def test_contenders_take_turns_and_a_broken_one_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(name: str, *_: Any) -> Turn:
        order.append(name)
        if name == "b" and len(order) > 3:
            raise PeerError("ended with 1: no memory")
        return turn(30)

    monkeypatch.setattr(peers, "run_turn", run)
    monkeypatch.setattr(peers, "busy_percent", lambda: 3.0)
    turns, failed, busy = measure(["a", "b", "c"], Path(), Path(), Path(), 30, 3)
    assert order[:3] == ["a", "b", "c"] and order[3] == "b", "each turn begins with another one"
    assert failed == {"b": "ended with 1: no memory"} and set(turns) == {"a", "c"}
    assert {len(each) for each in turns.values()} == {3} and len(busy) == len(order)


def test_what_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(TITLES) == set(LOOPS)
    monkeypatch.setattr(peers, "_installed", lambda distribution: False)
    monkeypatch.setattr(peers, "why_no_gpu", lambda: "no NVIDIA GPU to use: none")
    found = skipped()
    assert "ladle-rt[peers]" in found["supervision"] and "ladle-rt[peers]" in found["torch"]
    assert found["ONNX Runtime CUDA"] == "no NVIDIA GPU to use: none"
    if sys.version_info < (3, 12):
        assert "need Python 3.12" in found["vapoursynth-ov"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("peers") / "clip.mp4"
    done = CliRunner().invoke(sample, [str(path), "--seconds", "0.2"])
    assert done.exit_code == 0, done.output
    return path


@pytest.mark.parametrize("names", [("naive",), ("ours",)])
def test_a_peer_does_the_whole_job(names: Sequence[str], clip: Path, tmp_path: Path) -> None:
    model = load_artifact().onnx_path
    for name in names:
        target = tmp_path / f"{name}.mp4"
        found = run_turn(name, clip, target, model, 6)
        assert target.stat().st_size > 1000 and found.fps > 0 and found.cpu_s > 0
        assert found.p95_ms >= found.p50_ms > 0 and found.peak_rss_mb > 50


def test_lost_frames_are_no_result(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="translated 6 frames of 7"):
        run_turn("naive", clip, tmp_path / "out.mp4", load_artifact().onnx_path, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(TITLES) - {"naive", "ours", "torch-compiled"}))
def test_every_other_peer_does_it_too(name: str, clip: Path, tmp_path: Path) -> None:
    if name in skipped():
        pytest.skip(skipped()[name])
    found = run_turn(name, clip, tmp_path / "out.mp4", load_artifact().onnx_path, 6)
    assert found.fps > 0

"""What a run shows: lines without a terminal, a summary at the end, nothing elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ladle_rt.training import display
from ladle_rt.training.display import show_progress
from ladle_rt.training.loop import Progress
from ladle_rt.training.throughput import Throughput
from ladle_rt.training.validate import ValidationScores

SCORES = ValidationScores(0.61, 0.58, 18.5, 0.9, 0.95, 0.4)


def progress(step: int, scores: ValidationScores | None = None) -> Progress:
    return Progress(
        step=step,
        steps=300,
        phase="regression",
        loss=0.25,
        terms={"loss": 0.25, "l1": 0.1, "perceptual": 0.7},
        speed=Throughput(20.0, 2.5, 0.02),
        overall=Throughput(19.0, 2.4, 0.03),
        eta_s=75.0,
        scores=scores,
    )


def test_lines_now_and_then_and_a_summary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now_s)
    with show_progress(300) as show:
        for step, now_s in ((80, 0.0), (100, 20.0), (120, 31.0), (140, 40.0)):  # noqa: B007
            show(progress(step))
        show(progress(150, SCORES))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "80/300 regression  loss 0.2500  perceptual 0.700  2.50 steps/s, 20.0 samples/s "
        "(2% waiting for data)  ETA 1:15",
        "120/300 regression  loss 0.2500  perceptual 0.700  2.50 steps/s, 20.0 samples/s "
        "(2% waiting for data)  ETA 1:15",
        "150/300 regression  loss 0.2500  perceptual 0.700  2.50 steps/s, 20.0 samples/s "
        "(2% waiting for data)  ETA 1:15  SSIM 0.6100  MS-SSIM 0.5800  PSNR 18.50 dB  "
        "of the truth's chroma 0.90, contrast 0.95, sharpness 0.40",
        "trained to step 150: 19.0 samples/s (3% waiting for data)",
    ]


def test_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    monkeypatch.setattr(
        display, "Console", lambda **_: Console(file=screen, force_terminal=True, width=240)
    )
    with show_progress(1) as show:
        # Epochs made more steps of it than the configuration said.
        show(progress(150, SCORES))
    assert (
        "150/300" in screen.getvalue() and "step 150: regression  loss 0.2500" in screen.getvalue()
    )
    assert "trained to step 150" in capsys.readouterr().err
    screen.truncate(0)
    monkeypatch.setenv("RANK", "1")
    with show_progress(300):
        pass
    assert screen.getvalue().strip("\0") == ""


def test_no_summary_of_nothing_or_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(300):
        pass

    def interrupted() -> None:
        with show_progress(300):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert capsys.readouterr().err == ""

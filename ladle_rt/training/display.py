"""Progress of a run for people: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from ladle_rt.training.distributed import leads
from ladle_rt.training.loop import Progress
from ladle_rt.training.throughput import Throughput

LINE_EVERY_S = 30.0
"""Seconds between lines where there is no terminal, at least."""

SHOWN = (
    "perceptual",
    "moments",
    "histogram",
    "stability",
    "semantics",
    "adversarial",
    "discriminator",
)
"""Terms beside the loss, where the run has them; the log has them all."""


@contextmanager
def show_progress(steps: int) -> Iterator[Callable[[Progress], None]]:
    """Yield the callback for `ladle_rt.training.loop.train`; everything goes to stderr.

    A run that ends well leaves a line with its throughput. Processes that do not lead show
    nothing.

    Args:
        steps: the length to show until the first report, which knows what epochs come to.
    """
    console = Console(stderr=True)
    seen: list[Progress] = []
    if console.is_terminal and leads():
        columns = (
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
        )
        with Bar(*columns, console=console) as bar:
            task = bar.add_task("train", total=steps, state="")

            def update(progress: Progress) -> None:
                seen[:] = [progress]
                bar.update(
                    task,
                    total=progress.steps,
                    completed=progress.step,
                    state=_describe_loss(progress),
                )
                if progress.scores is not None:
                    line = f"step {progress.step}: {_describe(progress)}"
                    bar.console.print(line, highlight=False, markup=False)

            yield update
    else:
        told_s = -math.inf

        def print_line(progress: Progress) -> None:
            nonlocal told_s
            seen[:] = [progress]
            ends = progress.step == progress.steps or progress.scores is not None
            if ends or time.monotonic() - told_s >= LINE_EVERY_S:
                told_s = time.monotonic()
                _print(f"{progress.step}/{progress.steps} {_describe(progress)}")

        yield print_line
    if seen:
        _print(f"trained to step {seen[0].step}: {_describe_speed(seen[0].overall)}")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _describe_loss(progress: Progress) -> str:
    minutes, seconds = divmod(round(progress.eta_s), 60)
    speed = progress.speed
    terms = "".join(
        f"  {name} {progress.terms[name]:.3f}" for name in SHOWN if name in progress.terms
    )
    return (
        f"{progress.phase}  loss {progress.loss:.4f}{terms}  {speed.steps_per_s:.2f} steps/s, "
        f"{_describe_speed(speed)}  ETA {minutes}:{seconds:02d}"
    )


def _describe(progress: Progress) -> str:
    text = _describe_loss(progress)
    if progress.scores is not None:
        scores = progress.scores
        text += (
            f"  SSIM {scores.ssim:.4f}  MS-SSIM {scores.ms_ssim:.4f}  "
            f"PSNR {scores.psnr_db:.2f} dB  of the truth's chroma {scores.chroma_ratio:.2f}, "
            f"contrast {scores.contrast_ratio:.2f}, sharpness {scores.sharpness_ratio:.2f}"
        )
    return text


def _describe_speed(speed: Throughput) -> str:
    return f"{speed.samples_per_s:.1f} samples/s ({speed.data_wait:.0%} waiting for data)"

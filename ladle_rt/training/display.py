"""Progress of a run for people: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from ladle_rt.training.loop import Progress

LINE_EVERY = 100
"""Steps between lines where there is no terminal."""


@contextmanager
def show_progress(steps: int) -> Iterator[Callable[[Progress], None]]:
    """Yield the callback for `ladle_rt.training.loop.train`; everything goes to stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _print_line
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("train", total=steps, state="")

        def update(progress: Progress) -> None:
            bar.update(task, completed=progress.step, state=_describe(progress))
            if progress.scores is not None:
                bar.console.print(f"step {progress.step}: {_describe(progress)}")

        yield update


def _print_line(progress: Progress) -> None:
    if progress.step % LINE_EVERY == 0 or progress.scores is not None:
        print(
            f"{progress.step}/{progress.steps} {_describe(progress)}", file=sys.stderr, flush=True
        )


def _describe(progress: Progress) -> str:
    minutes, seconds = divmod(round(progress.eta_s), 60)
    text = (
        f"loss {progress.loss:.4f}  {progress.samples_per_s:.1f} samples/s  "
        f"ETA {minutes}:{seconds:02d}"
    )
    if progress.scores is not None:
        scores = progress.scores
        text += (
            f"  SSIM {scores.ssim:.4f}  MS-SSIM {scores.ms_ssim:.4f}  "
            f"PSNR {scores.psnr_db:.2f} dB  chroma {scores.chroma_ratio:.2f}"
        )
    return text

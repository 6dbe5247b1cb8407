"""``ladle-rt experiment``: train, measure and compare the arms of a question."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.cli._data import first_lines, typed_command
from ladle_rt.errors import LadleError, PartialResultError, require

if TYPE_CHECKING:
    from ladle_rt.training.loop import Progress

PLANS = Path(__file__).parents[1] / "experiments" / "plans"


class _Experiment(click.Command):
    """Lists the experiments with the first line of each."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Experiments"):
            formatter.write_dl(first_lines(PLANS))


def _checkpoints(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"expected NAME=FILE, received {text!r}")
        found[name] = Path(path)
    return found


@click.command("experiment", cls=_Experiment)
@click.argument("name", metavar="NAME|FILE.toml|all")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder in which the experiments' dataset paths start; the current one unless given.",
)
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of all experiments."
)
@click.option(
    "--scale",
    type=click.Choice(["small", "kaist"]),
    default="small",
    show_default=True,
    help="small: hours on two cores; kaist: the published networks and schedule on full KAIST.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="NAME=FILE",
    callback=_checkpoints,
    help="Weights that arms ask for, such as cityscapes=deeplab.pth; repeat for several.",
)
@click.option("--hours", type=click.FloatRange(min=0), help="Stop after so long, to go on later.")
@click.option(
    "--steps", type=click.IntRange(min=1), help="Steps of each arm, instead of the plan's."
)
@click.option("--seeds", type=click.IntRange(min=1), help="Runs of each arm.")
@click.option("--batch", type=click.IntRange(min=1), help="Samples per step.")
@click.option(
    "--subset",
    type=click.IntRange(min=1),
    metavar="N",
    help="Smoke run: at most N pairs of each dataset, validation included.",
)
@click.option("--workers", type=click.IntRange(min=0), help="Processes that load data.")
@click.option(
    "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:1."
)
def command(
    name: str,
    data_root: Path,
    out: Path,
    scale: Any,
    checkpoints: dict[str, Path],
    hours: float | None,
    device: str,
    **shortened: Any,
) -> None:
    """Train, measure and compare the arms of a question about thermal-to-colour networks.

    An experiment is a TOML file; those that ship are listed below, and all runs every one of
    them. Each arm is trained with several seeds by the program's own trainer and judged on pairs
    that no arm has seen. OUT/NAME gets result.json, table.md and plot.html after every run, with
    intervals over seeds, drives and frames; OUT/runs the trainings, of which equal ones are shared.

    What was stopped, by Ctrl-C or --hours too, goes on with the same command.

    \b
    ladle-rt experiment alpha --data-root DATASETS -o experiments
    ladle-rt experiment all --hours 8 --data-root DATASETS -o experiments
    ladle-rt experiment alpha --scale kaist --data-root DATASETS -o experiments
    """
    for module in ("torch", "torchmetrics", "safetensors", "skimage"):
        require(module, "train")
    from ladle_rt.experiments.arm_configs import Shortened, resolve_experiment
    from ladle_rt.experiments.experiment_plan import ALL, experiments_in_order, open_experiment
    from ladle_rt.experiments.run_experiment import (
        result_folder,
        run_experiment,
        write_summary,
    )
    from ladle_rt.pipeline.interrupt import stop_on_signals

    failures, unfinished = [], []
    with stop_on_signals() as stop, _time_limit(hours, stop):
        for one in experiments_in_order() if name == ALL else [name]:
            try:
                called, plan = open_experiment(one)
                resolved = resolve_experiment(
                    called, plan, scale, data_root, checkpoints, Shortened(**shortened)
                )
                result = run_experiment(resolved, out, typed_command(), _watch, stop, device)
            except LadleError as error:
                if name != ALL:
                    raise
                click.echo(f"ladle-rt: error: {one}: {error}", err=True)
                failures.append(one)
                continue
            if result.complete:
                click.echo(f"{result_folder(out, resolved)}: done")
            else:
                unfinished.append(called)
            if stop.is_set():
                break
    write_summary(out)
    if failures or unfinished:
        raise PartialResultError(
            f"{', '.join(unfinished + failures)} not finished; what is done is in {out}, and the "
            "same command goes on"
        )


@contextlib.contextmanager
def _time_limit(hours: float | None, stop: Any) -> Iterator[None]:
    import threading

    timer = threading.Timer(hours * 3600, stop.set) if hours is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


@contextlib.contextmanager
def _watch(words: str, steps: int) -> Iterator[Callable[[Progress], None]]:
    from ladle_rt.training.display import show_progress

    click.echo(words, err=True)
    with show_progress(steps) as on_progress:
        yield on_progress

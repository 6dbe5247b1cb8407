"""``ladle-rt train``: train a translation network from a TOML recipe and flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._data import first_lines
from ladle_rt.errors import TrainingStoppedError, require

RECIPES = Path(__file__).parents[1] / "training" / "recipes"

GROUPS = {
    "Start from": ("recipe", "config", "data_root"),
    "Data": (
        "data",
        "split",
        "validate",
        "validate_split",
        "leaky_random_split",
        "subset",
        "workers",
    ),
    "Network": (
        "architecture",
        "preset",
        "init",
        "handle_weights",
        "freeze_handle",
        "teacher",
        "distill",
        "look",
    ),
    "Optimisation": ("epochs", "steps", "batch", "learning_rate", "alpha", "precision", "seed"),
    "Run": ("out", "resume", "device", "tensorboard", "checkpoint_every", "validate_every"),
}
"""Sections of the help, in its order; the last one takes what no other names."""


class _Train(click.Command):
    """Prints its options in sections, and the recipes with the first line of each."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        section = {name: title for title, names in GROUPS.items() for name in names}
        last = list(GROUPS)[-1]
        for title in GROUPS:
            records = [
                record
                for parameter in self.get_params(ctx)
                if section.get(parameter.name or "", last) == title
                and (record := parameter.get_help_record(ctx)) is not None
            ]
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Recipes"):
            formatter.write_dl(first_lines(RECIPES))


@click.command("train", cls=_Train)
@click.option("--recipe", help="A recipe that ships, listed below.")
@click.option("--config", type=click.Path(path_type=Path), help="Your own recipe, a TOML file.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder in which relative dataset paths start, such as the recipes' kaist; the current "
    "one unless given.",
)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Dataset folder to train on; repeat to mix several. Replaces the recipe's data, and its "
    "validation data too.",
)
@click.option(
    "--split",
    default="train?",
    help="Split of every --data; without this: train where a dataset has it, else all pairs.",
)
@click.option(
    "--validate",
    type=click.Path(path_type=Path),
    help="Dataset folder to choose the best weights by; without one the last weights are kept.",
)
@click.option(
    "--validate-split",
    default="val?",
    help="Split of --validate; without this: val where the dataset has it, else all pairs.",
)
@click.option(
    "--leaky-random-split",
    is_flag=True,
    help="Split frames at random, 80 to 20, as the publication did. Neighbouring video frames "
    "end up on both sides, so scores are far too good: only for comparison with it.",
)
@click.option(
    "--subset",
    type=int,
    metavar="N",
    help="Smoke run: N pairs of each dataset, two passes, batches of at most 8, a checkpoint and "
    "a validation a pass. Other flags win over these.",
)
@click.option("--workers", type=int, help="Processes that load data, up to the number of cores.")
@click.option("--architecture", help="Family of networks, such as ladlenet or ladlenet-plus.")
@click.option("--preset", help="Size of the network, such as compact or paper.")
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help="Model (.safetensors) of the same architecture to start from: fine-tuning.",
)
@click.option(
    "--look",
    type=click.Choice(["daylight", "none"]),
    help="Grade every truth to one daylight look before training.",
)
@click.option(
    "--handle-weights",
    metavar="FILE|imagenet",
    help="Pretrained LadleNet+ Handle: a DeepLabV3+ checkpoint, or the ImageNet encoder.",
)
@click.option(
    "--freeze-handle/--fine-tune-handle",
    default=None,
    help="Keep the Handle as it is and train the Bowl only, or train both.",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    help="Model (.safetensors) of any architecture whose output to imitate too.",
)
@click.option("--distill", type=float, help="Weight of that imitation; 1 unless given.")
@click.option("--epochs", type=int, help="Passes over the data; replaces the recipe's steps.")
@click.option("--steps", type=int, help="Optimiser steps; replaces the recipe's epochs.")
@click.option("--batch", type=int, help="Samples per step, over all processes.")
@click.option("--learning-rate", "--lr", type=float, help="Peak of the schedule.")
@click.option("--alpha", type=float, help="Share of MS-SSIM against L1 in the loss, 0 to 1.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Arithmetic of the network; bf16 and fp16 want a GPU.",
)
@click.option("--seed", type=int, help="One seed, one run.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the run folder's checkpoint, or extend a finished run.",
)
@click.option(
    "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:1."
)
@click.option("--tensorboard", is_flag=True, help="Write a TensorBoard log into the run folder.")
@click.option("--checkpoint-every", type=int, metavar="STEPS", help="Steps between checkpoints.")
@click.option("--validate-every", type=int, metavar="STEPS", help="Steps between validations.")
def command(
    recipe: str | None,
    config: Path | None,
    data_root: Path,
    data: tuple[Path, ...],
    split: str,
    validate: Path | None,
    validate_split: str,
    leaky_random_split: bool,
    subset: int | None,
    out: Path,
    resume: bool,
    device: str,
    tensorboard: bool,
    alpha: float | None,
    distill: float | None,
    **overrides: Any,
) -> None:
    """Train a network that turns thermal images into colour images.

    Settings come from a recipe, your TOML file wins over it, and flags win over both. With
    neither, --data is trained on with the network, loss and length of the recipe compact.
    Datasets are recognised by their layout: KAIST, FLIR, LLVIP, MSRS, RoadScene, or two folders
    of images with equal names.

    The run folder gets a log, sample sheets to look at, checkpoints, and the best model. A run
    that was stopped, by Ctrl-C too, goes on with the same command and --resume; so does one
    that has ended, with more steps or further phases and loss weights of their own.

    \b
    ladle-rt train --data roadscene --validate roadscene -o run
    ladle-rt train --recipe paper --data-root DATASETS --precision bf16 -o run
    ladle-rt train --recipe paper --data-root DATASETS --subset 100 -o smoke
    """
    for module in ("torch", "torchmetrics", "safetensors"):
        require(module, "train")
    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.training.display import show_progress
    from ladle_rt.training.distributed import leads
    from ladle_rt.training.loop import train
    from ladle_rt.training.resolve import resolve_config

    values: dict[str, Any] = {k: v for k, v in overrides.items() if v is not None}
    if data:
        values["data"] = [{"path": path, "split": split} for path in data]
    if validate:
        values["validation"] = {"path": validate, "split": validate_split}
    loss = {k: v for k, v in {"alpha": alpha, "distill": distill}.items() if v is not None}
    if loss:
        values["loss"] = loss
    settings = resolve_config(
        config,
        recipe,
        data_root,
        values,
        subset=subset,
        leaky_random_split=leaky_random_split,
    )
    try:
        with stop_on_signals() as stop, show_progress(settings.steps) as on_progress:
            best = train(settings, out, resume, on_progress, device, tensorboard, stop)
    except TrainingStoppedError as error:
        click.echo(f"ladle-rt: {error}", err=True)
        raise SystemExit(130) from None
    if leads():
        click.echo(f"{best}: export it with `ladle-rt export {best} -o model.onnx`")

"""``ladle-rt calibrate``: thermal footage to the calibration set that INT8 needs."""

from __future__ import annotations

from pathlib import Path

import click

from ladle_rt.cli._data import show, watch
from ladle_rt.errors import require

MAX_FRAMES = 100_000
"""Of a set; a few hundred settle the ranges."""


@click.command("calibrate")
@click.option("--model", help="Shipped model name, .onnx or .safetensors; the default model.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Dataset (its training set), folder of thermal images, or video; repeatable.",
)
@click.option(
    "--image-list",
    type=click.Path(path_type=Path),
    help="Only the images named in this file, of the one dataset.",
)
@click.option(
    "-n",
    "--frames",
    type=click.IntRange(1, MAX_FRAMES),
    default=256,
    show_default=True,
    help="Frames to use.",
)
@click.option(
    "--method",
    type=click.Choice(["mse", "kl", "percentile", "minmax"]),
    default="kl",
    show_default=True,
    help="How a range is chosen from a histogram.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
def command(
    model: str | None,
    data: tuple[Path, ...],
    image_list: Path | None,
    frames: int,
    method: str,
    output: Path,
    overwrite: bool,
) -> None:
    """Choose frames and measure the ranges of a model's activations on them."""
    require("onnx", "engines")
    import tempfile
    from typing import cast

    from rich.table import Table

    from ladle_rt.engines.calibration.calibrate import CalibrationJob, calibrate, spread
    from ladle_rt.engines.calibration.ranges import Method
    from ladle_rt.engines.precision.fp32 import fp32_artifact
    from ladle_rt.models.artifact import DEFAULT_MODEL

    job = CalibrationJob(data, output, frames, cast(Method, method), image_list, overwrite)
    with tempfile.TemporaryDirectory() as folder:
        artifact = fp32_artifact(model or DEFAULT_MODEL, Path(folder))
        made = calibrate(artifact, job, watch)
    table = Table("data", "frames", "sequences", "kinds", "light")
    for row in spread(made.manifest.frames):
        table.add_row(*map(str, row))
    show(table)
    click.echo(
        f"{made.folder}: {len(made.manifest.frames)} frames, "
        f"{len(made.manifest.held_out)} held out, {len(made.ranges)} ranges ({method}) "
        f"for {made.manifest.model}"
    )

"""``ladle-rt evaluate``: quality on paired data, beside trivial baselines."""

from __future__ import annotations

from pathlib import Path

import click

from ladle_rt.errors import PartialResultError, require


def _png(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"expected a name ending in .png, received '{value}'")
    return value


@click.command("evaluate")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder with paired images."
)
@click.option("--layout", default="auto", help="kaist, msrs, folders; recognised by default.")
@click.option("--split", help="Evaluate on this split only.")
@click.option("--image-list", type=click.Path(path_type=Path), help="Names of pairs, one a line.")
@click.option("--model", help="Shipped model name or path of an .onnx file.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first pairs.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), callback=_png, help="Write a contact sheet (PNG)."
)
def command(
    data: Path,
    layout: str,
    split: str | None,
    image_list: Path | None,
    model: str | None,
    limit: int | None,
    json_path: Path | None,
    sheet: Path | None,
) -> None:
    """Score a model on pairs of thermal and visible images.

    Whole frames at 256x192, mean over images. The mean-colour baseline is the mean of the
    dataset's training split where it has one.
    """
    for module in ("torchmetrics", "skimage"):
        require(module, "train")
    import json

    from rich.console import Console

    from ladle_rt.datasets import find_pairs
    from ladle_rt.evaluation.evaluate import evaluate
    from ladle_rt.evaluation.present import contact_sheet, table
    from ladle_rt.frames import Picture
    from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
    from ladle_rt.sinks.atomic import atomic_path, check_target
    from ladle_rt.sinks.images import write_png
    from ladle_rt.translate import load_network

    every = find_pairs(data, layout)
    pairs = find_pairs(data, layout, split, image_list)[:limit]
    chosen = set(pairs)
    colour_pairs = [pair for pair in every if pair.split == "train" and pair not in chosen]
    artifact = load_artifact(model or DEFAULT_MODEL)
    inputs = [path for pair in every for path in (pair.thermal, pair.visible)]
    inputs += [artifact.onnx_path, artifact.onnx_path.with_suffix(".json")]
    for target in (json_path, sheet):
        if target is not None:
            check_target(target, overwrite=True, inputs=inputs)
    predict = load_network(artifact, "onnxruntime").runner()
    report = evaluate(
        artifact.info.name, predict, artifact.info.thermal, pairs, colour_pairs, sheet is not None
    )
    Console(width=None if Console().is_terminal else 140).print(table(report))
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            temporary.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    if sheet is not None:
        picture = contact_sheet(report)
        height, width = picture.shape[:2]
        write_png(sheet, Picture("rgb24", picture, width, height))
    for failure in report.failures:
        click.echo(f"ladle-rt: error: {failure}", err=True)
    if report.failures:
        raise PartialResultError(
            f"{len(report.failures)} of {len(pairs)} pairs could not be read and are left out"
        )

"""``ladle-rt export``: a model to the ONNX file and JSON that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ladle_rt.cli._options import precision_options
from ladle_rt.errors import require

if TYPE_CHECKING:
    from ladle_rt.engines.export_precision import ExportSettings
    from ladle_rt.engines.model_repository import ServedModel

WEIGHTS = (".safetensors",)
MAX_BATCH = 8
"""Frames in a run of a served graph."""


@click.command("export")
@click.argument("weights", required=False, type=click.Path(path_type=Path))
@click.option("--model", help="The same as WEIGHTS, or a shipped model's name; the default model.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="ONNX file to write; its JSON goes beside it.",
)
@click.option(
    "--triton",
    "repository",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write it into a model repository of Triton Inference Server instead, as a new version.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="A plan of `ladle-rt build-engine` to serve there, instead of a graph.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(min=1),
    help="Frames that Triton may put into one run; 8, or what the plan takes.",
)
@precision_options(
    ("fp32", "fp16", "int8"),
    "fp32",
    "What the graph computes in; int8 as explicit Q/DQ pairs.",
    int8_base="fp32",
)
@click.option(
    "--io",
    "border",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Element type of input and output.",
)
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    help="JSON of `ladle-rt evaluate`, to travel with an export of .safetensors.",
)
@click.option(
    "--classes",
    is_flag=True,
    help="Write what a semantic Handle takes things for as a second output, of .safetensors.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing files; of --triton the config.")
def command(
    weights: Path | None,
    model: str | None,
    output: Path | None,
    repository: Path | None,
    plan: Path | None,
    max_batch: int | None,
    precision: str,
    calibration: Path | None,
    int8_base: str,
    border: str,
    metrics: Path | None,
    classes: bool,
    overwrite: bool,
) -> None:
    """Export a model (.safetensors with its .json, .onnx, or a shipped name) to ONNX and check it.

    int8 is written whatever it costs, and what it costs is printed; `ladle-rt build-engine`
    takes it only if it passes the gate.
    """
    require("onnx", "engines")
    if weights is not None and model is not None:
        raise click.UsageError("give WEIGHTS or --model, not both")
    if (output is None) == (repository is None):
        raise click.UsageError("give -o FILE or --triton DIR")
    if repository is None and (plan is not None or max_batch is not None):
        raise click.UsageError("--plan and --max-batch go with --triton DIR")
    if plan is not None and (weights or model or precision != "fp32" or border != "float32"):
        raise click.UsageError("a plan has its model and precision; leave them out")

    def write(path: Path) -> str:
        if precision == "fp32" and border == "float32" and weights and weights.suffix in WEIGHTS:
            return _export_weights(weights, path, metrics, overwrite, classes)
        if metrics is not None or classes:
            raise click.UsageError("--metrics and --classes go with an fp32 export of .safetensors")
        from ladle_rt.engines.export_precision import ExportSettings

        wanted = ExportSettings(
            precision,  # type: ignore[arg-type]
            calibration,
            int8_base,  # type: ignore[arg-type]
            border,  # type: ignore[arg-type]
        )
        return _export_precision(weights or model, wanted, path, overwrite)

    if output is not None:
        click.echo(f"{output}: {write(output)}")
        return
    assert repository is not None
    from ladle_rt.engines.model_repository import served_onnx, served_plan

    require("tritonclient", "triton")
    if plan is not None:
        _publish(served_plan(plan, max_batch), repository, overwrite)
        return
    import tempfile

    from ladle_rt.models.artifact import load_artifact

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "model.onnx")
        click.echo(write(draft))
        _publish(served_onnx(load_artifact(draft), max_batch or MAX_BATCH), repository, overwrite)


def _publish(model: ServedModel, repository: Path, overwrite: bool) -> None:
    from ladle_rt.engines.model_repository import publish_model

    published = publish_model(model, repository, overwrite)
    state = "" if published.new else ", already there"
    click.echo(
        f"{published.folder}: version {published.version}{state}; "
        f"tritonserver --model-repository {repository}"
    )


def _export_precision(
    model: str | Path | None, wanted: ExportSettings, output: Path, overwrite: bool
) -> str:
    from ladle_rt.engines.export_precision import export_precision
    from ladle_rt.models.artifact import DEFAULT_MODEL

    written, difference = export_precision(model or DEFAULT_MODEL, wanted, output, overwrite)
    return f"{written.info.name}, {wanted.precision}{difference and ', '}{difference}"


def _export_weights(
    weights: Path, output: Path, metrics: Path | None, overwrite: bool, classes: bool
) -> str:
    for module in ("torch", "onnxscript", "safetensors"):
        require(module, "train")
    from ladle_rt.engines.export_onnx import export_onnx, with_metrics
    from ladle_rt.models.weights import load_model

    network, info = load_model(weights)
    if metrics is not None:
        info = with_metrics(info, metrics)
    exported = export_onnx(network, info, output, overwrite, classes)
    return (
        f"{info.parameters / 1e6:.2f} M parameters, "
        f"max |ONNX Runtime - torch| = {exported.max_abs_error:.1e}"
    )

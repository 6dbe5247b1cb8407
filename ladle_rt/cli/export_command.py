"""``ladle-rt export``: a model to the ONNX file and JSON that every command takes."""

from __future__ import annotations

from pathlib import Path

import click

from ladle_rt.cli._options import precision_options
from ladle_rt.errors import require


@click.command("export")
@click.argument("weights", required=False, type=click.Path(path_type=Path))
@click.option("--model", help="The same as WEIGHTS, or a shipped model's name; the default model.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="ONNX file to write; its JSON goes beside it.",
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
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def command(
    weights: Path | None,
    model: str | None,
    output: Path,
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
    plain = precision == "fp32" and border == "float32"
    if plain and weights is not None and weights.suffix == ".safetensors":
        _export_weights(weights, output, metrics, overwrite, classes)
        return
    if metrics is not None or classes:
        raise click.UsageError("--metrics and --classes go with an fp32 export of .safetensors")
    from ladle_rt.engines.export_precision import ExportSettings, export_precision
    from ladle_rt.models.artifact import DEFAULT_MODEL

    wanted = ExportSettings(
        precision,  # type: ignore[arg-type]
        calibration,
        int8_base,  # type: ignore[arg-type]
        border,  # type: ignore[arg-type]
    )
    written, difference = export_precision(
        weights or model or DEFAULT_MODEL, wanted, output, overwrite
    )
    click.echo(
        f"{written.onnx_path}: {written.info.name}, {precision}{difference and ', '}{difference}"
    )


def _export_weights(
    weights: Path, output: Path, metrics: Path | None, overwrite: bool, classes: bool
) -> None:
    for module in ("torch", "onnxscript", "safetensors"):
        require(module, "train")
    from ladle_rt.engines.export_onnx import export_onnx, with_metrics
    from ladle_rt.models.weights import load_model

    network, info = load_model(weights)
    if metrics is not None:
        info = with_metrics(info, metrics)
    exported = export_onnx(network, info, output, overwrite, classes)
    click.echo(
        f"{exported.onnx_path}: {info.parameters / 1e6:.2f} M parameters, "
        f"max |ONNX Runtime - torch| = {exported.max_abs_error:.1e}"
    )

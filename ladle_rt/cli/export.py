"""``ladle-rt export``: trained weights to the ONNX file and JSON that every command takes."""

from __future__ import annotations

from pathlib import Path

import click

from ladle_rt.errors import require


@click.command("export")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="ONNX file to write; its JSON goes beside it.",
)
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    help="JSON of `ladle-rt evaluate`, to travel with the model.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def command(weights: Path, output: Path, metrics: Path | None, overwrite: bool) -> None:
    """Export WEIGHTS (.safetensors with its .json beside it) to ONNX and check it."""
    for module in ("torch", "onnx", "onnxscript", "safetensors"):
        require(module, "train")
    from ladle_rt.engines.export import export_onnx, with_metrics
    from ladle_rt.models.weights import load_model

    model, info = load_model(weights)
    if metrics is not None:
        info = with_metrics(info, metrics)
    exported = export_onnx(model, info, output, overwrite)
    click.echo(
        f"{exported.onnx_path}: {info.parameters / 1e6:.2f} M parameters, "
        f"max |ONNX Runtime - torch| = {exported.max_abs_error:.1e}"
    )

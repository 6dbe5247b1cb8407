"""``ladle-rt build-engine``: a model to a TensorRT plan that is proven close and fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import given, precision_options
from ladle_rt.cli._parameters import parse_sizes
from ladle_rt.errors import require


def _targets(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in (value or "").split(",") if part.strip())


@click.command("build-engine")
@click.option("--model", help="Shipped model name, .onnx or .safetensors; the default model.")
@precision_options(
    ("fp32", "fp16", "int8", "auto"),
    "auto",
    "auto: the fastest that passes the gates.",
    int8_base="fp16",
)
@click.option(
    "--io",
    "border",
    type=click.Choice(["float32", "float16"]),
    default="float16",
    show_default=True,
    help="Element type of an fp16 plan's input and output; fp32 and int8 keep float32.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("engines"),
    show_default=True,
    help="Folder of plans and their manifests.",
)
@click.option(
    "--target",
    "targets",
    callback=_targets,
    metavar="smNN,...",
    help="Build ahead of time for these GPUs (TensorRT-RTX; needs no GPU here).",
)
@click.option(
    "--size",
    "sizes",
    callback=parse_sizes,
    multiple=True,
    metavar="WxH",
    help="Network size, one profile each; the model's training size, and one for all others.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 64),
    help="Most frames in a run, for `serve` and servers that gather them; 1.",
)
@click.option("--workspace", type=click.IntRange(min=1), metavar="MIB", help="Scratch memory.")
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path),
    help="File of kernel times to start from and extend (TensorRT).",
)
@click.option("--opt-level", type=click.IntRange(0, 5), help="How long to search; 3.")
@click.option("--dla", type=click.IntRange(min=0), help="Deep Learning Accelerator to use.")
@click.option("--gpu", metavar="N|UUID", help="As `nvidia-smi -L` prints them; the first.")
@click.option("--verbose", type=click.Path(path_type=Path), help="File for TensorRT's own log.")
def command(
    model: str | None,
    precision: str,
    calibration: Path | None,
    int8_base: str,
    border: str,
    output: Path,
    targets: tuple[str, ...],
    sizes: tuple[Any, ...],
    verbose: Path | None,
    workspace: int | None,
    opt_level: int | None,
    gpu: str | None,
    **options: Any,
) -> None:
    """Build a TensorRT plan of a model, or take the one that is already there."""
    require("onnx", "engines")
    from rich.console import Console
    from rich.progress import Progress

    from ladle_rt.engines.plan.ensure_plan import PlanRequest, ensure_plan
    from ladle_rt.engines.plan.layers import Layer, summarize
    from ladle_rt.engines.plan.settings import BuildSettings
    from ladle_rt.translate.gpu_selection import select_gpu

    if gpu is not None:
        select_gpu(gpu)
    settings = BuildSettings(
        sizes=sizes,
        targets=targets,
        **given(workspace_mib=workspace, optimization_level=opt_level, **options),
    )
    request = PlanRequest(
        **given(
            model=model,
            precision=precision,
            calibration=calibration,
            int8_base=int8_base,
            border=border,
            folder=output,
            settings=settings,
            log=verbose,
        )
    )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("TensorRT", total=1.0)

        def progress(phase: str, done: float) -> None:
            bar.update(task, description=phase[:60], completed=done)

        produced = ensure_plan(request, lambda line: click.echo(line, err=True), progress)
    plan = produced.plan
    how = f"built in {plan.manifest.build_seconds:.1f} s" if plan.built else "already there"
    click.echo(f"{plan.path}: {produced.precision}, {how} ({plan.reason})")
    click.echo(f"precision: {produced.reason}")
    click.echo(f"speed: {produced.speed}")
    for kind, output_type, count in summarize([Layer(**x) for x in plan.manifest.layers or []]):
        click.echo(f"  {count:4d} x {kind} {output_type}")

"""``ladle-rt engines``: what lies in the folder of plans; needs no TensorRT."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("engines"),
    show_default=True,
    help="Folder of plans.",
)


@click.group("engines")
def command() -> None:
    """List, inspect and prune built TensorRT plans."""


@command.command("list")
@_FOLDER
def list_command(folder: Path) -> None:
    """List the plans of a folder."""
    from rich.console import Console
    from rich.table import Table

    from ladle_rt.engines.plan.cache import describe_device, list_plans
    from ladle_rt.geometry import size_range

    table = Table()
    for name in ("plan", "precision", "for", "TensorRT", "sizes", "MB", "ms", "state"):
        table.add_column(name, overflow="fold")
    entries = list_plans(folder)
    for entry in entries:
        manifest, header = entry.manifest, entry.header
        table.add_row(
            entry.path.name,
            manifest.precision if manifest else "?",
            describe_device(manifest.device) if manifest else "?",
            f"{header.edition} {header.version}" if header else "?",
            ", ".join(size_range(low[2:], high[2:]) for low, _, high in manifest.profiles)
            if manifest
            else "?",
            f"{entry.size / 1e6:.1f}",
            f"{manifest.latency_ms:.2f}" if manifest and manifest.latency_ms else "",
            entry.problem or "fits",
        )
    if not entries:
        click.echo(f"{folder}: no plans; make one with `ladle-rt build-engine`")
        return
    Console(width=None if Console().is_terminal else 160).print(table)


@command.command("inspect")
@click.argument("plan", type=click.Path(path_type=Path))
def inspect_command(plan: Path) -> None:
    """Show what PLAN is, from its first bytes and its manifest."""
    import json

    from ladle_rt.engines.plan.cache import describe_device, inspect_plan
    from ladle_rt.engines.plan.layers import Layer, summarize

    entry = inspect_plan(plan)
    header, manifest = entry.header, entry.manifest
    lines = [("file", f"{entry.path} ({entry.size} bytes)")]
    if header:
        lines.append(("written by", f"{header.edition} {header.version}"))
    if manifest:
        lines += [
            ("model", manifest.name),
            ("precision", f"{manifest.precision} ({manifest.note})"),
            ("for", describe_device(manifest.device)),
            *(("profile", " / ".join(map(str, shapes))) for shapes in manifest.profiles),
            ("options", json.dumps(manifest.flags)),
            ("graph", manifest.onnx_sha256),
            ("calibration", manifest.calibration_sha256 or "none"),
            ("plan", manifest.plan_sha256),
            ("built in", f"{manifest.build_seconds:.1f} s"),
        ]
        if manifest.latency_ms is not None:
            lines.append(("latency", f"{manifest.latency_ms:.3f} ms a frame"))
        for kind, output, count in summarize([Layer(**x) for x in manifest.layers or []]):
            lines.append(("layers", f"{count} x {kind} {output}"))
    lines.append(("state", entry.problem or "fits its manifest"))
    for name, value in lines:
        click.echo(f"{name:>11}: {value}")


@command.command("prune")
@_FOLDER
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(folder: Path, dry_run: bool) -> None:
    """Remove plans that fit no longer, and what killed builds left."""
    from ladle_rt.engines.plan.prune import prune

    removed = prune(folder, dry_run)
    for path, reason in removed:
        click.echo(f"{'would remove' if dry_run else 'removed'} {path.name}: {reason}")
    if not removed:
        click.echo(f"{folder}: nothing to remove")

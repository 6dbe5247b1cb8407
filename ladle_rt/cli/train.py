"""``ladle-rt train``: train a translation network from a TOML recipe and flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.errors import require


@click.command("train")
@click.option("--config", type=click.Path(path_type=Path), help="TOML recipe; flags win over it.")
@click.option("--recipe", help="A recipe that ships in the package, for example compact.")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Dataset folder (KAIST, MSRS, RoadScene, two folders); repeat to mix. Replaces [[data]].",
)
@click.option("--split", help="Train on this split of every --data.")
@click.option("--validate", type=click.Path(path_type=Path), help="Dataset to choose the best by.")
@click.option("--validate-split", help="Split of --validate.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Relative dataset paths of the recipe start here.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's checkpoint.")
@click.option("--architecture", help="Registered architecture.")
@click.option("--preset", help="Preset of the architecture.")
@click.option("--steps", type=int)
@click.option("--batch", type=int)
@click.option("--learning-rate", type=float)
@click.option("--alpha", type=float, help="Share of MS-SSIM in the loss, 0 to 1.")
@click.option("--seed", type=int)
@click.option("--checkpoint-every", type=int, help="Steps.")
@click.option("--validate-every", type=int, help="Steps.")
@click.option("--workers", type=int, help="Data-loading processes.")
def command(
    config: Path | None,
    recipe: str | None,
    data: tuple[Path, ...],
    split: str | None,
    validate: Path | None,
    validate_split: str | None,
    data_root: Path,
    out: Path,
    resume: bool,
    alpha: float | None,
    **overrides: Any,
) -> None:
    """Train a network; the run folder gets a log, sample sheets, checkpoints and the best model."""
    for module in ("torch", "torchmetrics", "safetensors"):
        require(module, "train")
    from ladle_rt.training.config import resolve_config
    from ladle_rt.training.display import show_progress
    from ladle_rt.training.loop import train

    values: dict[str, Any] = {k: v for k, v in overrides.items() if v is not None}
    if data:
        values["data"] = [{"path": path, "split": split} for path in data]
    if validate:
        values["validation"] = {"path": validate, "split": validate_split}
    if alpha is not None:
        values["loss"] = {"alpha": alpha}
    settings = resolve_config(config, recipe, data_root, values)
    with show_progress(settings.steps) as on_progress:
        best = train(settings, out, resume, on_progress)
    click.echo(f"{best}: export it with `ladle-rt export {best} -o model.onnx`")

"""``ladle-rt finish``: the last touches to trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.errors import OutputError, require

MODEL = click.Path(path_type=Path)


@click.command("finish")
@click.argument("weights", type=MODEL, metavar="MODEL.safetensors")
@click.option("-o", "--output", type=MODEL, required=True, help="A .safetensors to write.")
@click.option(
    "--mean-with",
    type=MODEL,
    metavar="OTHER",
    help="Mean of these weights and another model's, for example what it was fine-tuned from.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of MODEL in that mean.",
)
@click.option(
    "--saturation",
    type=click.FloatRange(0.25, 4),
    default=1.0,
    show_default=True,
    help="Gain on chroma.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
def command(
    weights: Path,
    output: Path,
    mean_with: Path | None,
    share: float,
    saturation: float,
    overwrite: bool,
) -> None:
    """Mean of two models, and stronger or weaker colours, written as a new model.

    Nothing is trained and nothing costs time later. The model's JSON says what was done.
    """
    require("torch", "train")
    from dataclasses import replace

    from ladle_rt.models.finish_weights import mean_of, saturated
    from ladle_rt.models.weights import load_model, save_model

    if output.suffix != ".safetensors":
        raise OutputError(f"{output}: expected a name that ends in .safetensors")
    taken = [path for path in (output, output.with_suffix(".json")) if path.exists()]
    if taken and not overwrite:
        raise OutputError(f"{taken[0]} exists; choose another name or add --overwrite")
    model, info = load_model(weights)
    state: dict[str, Any] = dict(model.state_dict())
    done: dict[str, Any] = {}
    if mean_with is not None:
        state = mean_of(load_model(mean_with)[0].state_dict(), state, share)
        done = {"mean_with": mean_with.name, "share": share}
    if saturation != 1:
        state = saturated(state, saturation)
        done["saturation"] = saturation
    model.load_state_dict(state)
    # What was measured before is not true of these weights.
    info = replace(info, training={**info.training, "finish": done}, metrics={})
    save_model(output, model, info)
    click.echo(f"{output}: {', '.join(f'{k} {v}' for k, v in done.items()) or 'unchanged'}")

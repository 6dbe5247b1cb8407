"""``ladle-rt parity``: one model's checkpoint and engines give the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._data import check_targets, pair_options, show, write_json
from ladle_rt.errors import BackendError


@click.command("parity")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder with paired images."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="Checkpoint (.safetensors), .onnx or shipped name; both files where they do not lie "
    "beside each other.",
)
@pair_options
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Largest difference that passes, RGB in [0,1]; two 8-bit counts by default.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures.")
def command(
    data: Path,
    models: tuple[str, ...],
    tolerance: float | None,
    json_path: Path | None,
    **selection: Any,
) -> None:
    """Compare a model's checkpoint in torch with its graph in ONNX Runtime and OpenVINO.

    All see the same frames, at 256x192. Fails where an engine differs by more than the tolerance;
    engines that are not installed are named.
    """
    from ladle_rt.evaluation.pair_selection import choose_pairs
    from ladle_rt.evaluation.parity import TOLERANCE, open_engines, parity, thermal_frames
    from ladle_rt.evaluation.tables import parity_table

    chosen = choose_pairs(data, **selection)
    engines = open_engines(models)
    inputs = [path for pair in chosen.every for path in (pair.thermal, pair.visible)]
    check_targets((json_path,), [*inputs, *engines.files])
    frames = thermal_frames(chosen.pairs, engines.reference.thermal)
    found = parity(engines.reference.predict, engines.others, frames)
    show(parity_table(engines.name, found))
    for engine, reason in engines.missing.items():
        click.echo(f"{engine} was not compared: {reason}")
    write_json(json_path, {"model": engines.name, **found.to_dict()})
    limit = TOLERANCE if tolerance is None else tolerance
    beyond = [name for name, one in found.engines.items() if not one.within(limit)]
    if beyond:
        raise BackendError(
            f"{', '.join(beyond)} differ from torch by more than {limit:.3g}; export the model "
            "again, or state a --tolerance that its precision allows"
        )

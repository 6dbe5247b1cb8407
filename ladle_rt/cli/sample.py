"""``ladle-rt sample``: a synthetic thermal drive to try things on."""

from __future__ import annotations

from pathlib import Path

import click

MAX_SIDE = 4096
"""What common decoders take."""


def _even_size(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """WIDTHxHEIGHT, both even, as video codecs want it."""
    width, _, height = value.lower().partition("x")
    sides = [int(side) for side in (width, height) if side.isdecimal() and len(side) < 10]
    if len(sides) != 2 or any(side % 2 or not 0 < side <= MAX_SIDE for side in sides):
        raise click.BadParameter(
            f"expected even WIDTHxHEIGHT such as 640x512, at most {MAX_SIDE}x{MAX_SIDE}, "
            f"received {value!r}"
        )
    return sides[0], sides[1]


@click.command("sample")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=5.0)
@click.option("--size", callback=_even_size, default="640x512", metavar="WxH", show_default=True)
@click.option("--fps", type=click.IntRange(1, 240), default=30, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Scenery.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def command(
    target: Path, seconds: float, size: tuple[int, int], fps: int, seed: int, overwrite: bool
) -> None:
    """Write a synthetic thermal drive to OUT: test footage, not a real recording."""
    from ladle_rt.pipeline.sample import write_sample
    from ladle_rt.sources.synthetic import DriveOptions

    options = DriveOptions(size[0], size[1], fps, seconds, seed)
    count = write_sample(target, options, overwrite)
    click.echo(f"{target}: {count} synthetic thermal frames, {size[0]}x{size[1]}")

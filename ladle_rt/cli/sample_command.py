"""``ladle-rt sample``: a synthetic thermal drive to try things on."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

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
# As text: a `Path` forgets the slash at its end.
@click.argument("target", metavar="OUT", type=click.Path())
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Length of the video.",
)
@click.option("--size", callback=_even_size, default="640x512", metavar="WxH", show_default=True)
@click.option(
    "--fps", type=click.IntRange(1, 240), default=30, show_default=True, help="Of the video."
)
@click.option(
    "--pairs",
    type=click.IntRange(1, 10_000),
    default=8,
    show_default=True,
    help="Number of pairs in the folder.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Scenery.")
@click.option("--overwrite", is_flag=True, help="Replace what exists.")
@click.pass_context
def command(
    context: click.Context,
    target: str,
    seconds: float,
    size: tuple[int, int],
    fps: int,
    pairs: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Write a synthetic thermal drive to OUT: test footage, not a real recording.

    OUT is a video such as t.mp4; an image such as frame.png, which gets the first frame; or a
    folder such as pairs/ (with the slash, unless it exists), which gets thermal pictures in ir/
    and the same views in daylight colours in vi/, to try train and evaluate with.
    """
    from ladle_rt.pipeline.sample import write_sample, write_sample_image, write_sample_pairs
    from ladle_rt.sources.synthetic_source import DriveOptions

    path = Path(target)
    if target.endswith("/") or path.is_dir():
        _refuse(context, "a folder of pairs", "seconds", "fps")
        write_sample_pairs(path, size, seed, pairs, overwrite)
        click.echo(f"{path}: {pairs} synthetic pairs, {size[0]}x{size[1]}")
        return
    if path.suffix.lower() == ".png":
        _refuse(context, "an image", "seconds", "fps", "pairs")
        write_sample_image(path, DriveOptions(*size, seed=seed), overwrite)
        click.echo(f"{path}: one synthetic thermal image, {size[0]}x{size[1]}")
        return
    _refuse(context, "a video", "pairs")
    if not path.suffix:
        raise click.BadParameter(
            f"expected a video (t.mp4), an image (frame.png) or pairs (pairs/), received {target}",
            param_hint="OUT",
        )
    count = write_sample(path, DriveOptions(*size, fps, seconds, seed), overwrite)
    click.echo(f"{path}: {count} synthetic thermal frames, {size[0]}x{size[1]}")


def _refuse(context: click.Context, kind: str, *names: str) -> None:
    """Wrong usage, if an option is given that says nothing about what is written."""
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name} says nothing about {kind}; leave it out, or write a video (t.mp4), "
                "an image (frame.png) or pairs (pairs/)"
            )

"""Options of how an input is read, and the settings that they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.cli._options import given, with_options
from ladle_rt.cli._parameters import parse_crop, parse_raw_size, parse_temperature, parse_track

if TYPE_CHECKING:
    from ladle_rt.thermal.scene_reader import ReadOptions

_READ = (
    click.option(
        "--polarity",
        type=click.Choice(["white-hot", "black-hot", "auto"]),
        help="What is bright; auto looks, says so, and on doubt inverts nothing; white-hot.",
    ),
    click.option(
        "--from-palette",
        metavar="NAME|auto",
        help="Turn false colours back into levels: ironbow, flir-iron, inferno, jet, ...",
    ),
    click.option(
        "--crop", callback=parse_crop, metavar="X,Y,W,H", help="The part that is thermal scene."
    ),
    click.option(
        "--mask",
        type=click.Path(path_type=Path),
        metavar="IMAGE",
        help="Black where there is no scene: text, bars, optics.",
    ),
    click.option(
        "--track",
        callback=parse_track,
        metavar="N|thermal",
        help="Video track of a file with several, from 0; the first.",
    ),
    click.option(
        "--raw-size",
        callback=parse_raw_size,
        metavar="WxH",
        help="WIDTHxHEIGHT of raw 16-bit dumps, .y16 and .raw.",
    ),
    click.option("--recursive", is_flag=True, help="Images of sub-folders too."),
    click.option(
        "--temperature",
        callback=parse_temperature,
        metavar="UNIT|GAIN,OFFSET",
        help="What the input's values are, for --isotherm 37C: kelvin/100 (Lepton TLinear), "
        "kelvin/64, celsius, celsius/10, optris, ..., or degrees per count and at 0.",
    ),
)


def read_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options of `ladle_rt.thermal.scene_reader.ReadOptions`.

    The command receives them as keywords for `read_settings`.
    """
    return with_options(function, _READ)


READ_NAMES = (
    "polarity", "from_palette", "crop", "mask", "track", "raw_size", "recursive", "temperature",
)  # fmt: skip
"""Keywords that `read_options` gives a command."""


def read_settings(values: dict[str, Any]) -> ReadOptions:
    """The settings that `read_options` mean; takes them out of a command's ``values``.

    Raises:
        ConfigError: values that the library refuses.
    """
    from ladle_rt.thermal.scene_reader import ReadOptions

    return ReadOptions(**given(**{name: values.pop(name) for name in READ_NAMES}))

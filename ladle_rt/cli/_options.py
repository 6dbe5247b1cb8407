"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.errors import ConfigError

if TYPE_CHECKING:
    from ladle_rt.config import TranslateOptions
    from ladle_rt.thermal.reading import ReadOptions


QUALITIES = ("fast", "balanced", "best")


def parse_size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """HEIGHTxWIDTH as two positive integers."""
    if value is None:
        return None
    size = _sides(value)
    if size is None:
        raise click.BadParameter(f"expected HEIGHTxWIDTH such as 192x256, received {value!r}")
    return size


def parse_quality(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | tuple[int, int] | None:
    """A word, or WIDTHxHEIGHT as height and width."""
    if value is None or value.lower() in QUALITIES:
        return value and value.lower()
    size = _sides(value)
    if size is None:
        raise click.BadParameter(
            f"expected {', '.join(QUALITIES)} or WIDTHxHEIGHT such as 512x384, received {value!r}"
        )
    return size[1], size[0]


def parse_raw_size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """WIDTHxHEIGHT as two positive integers."""
    if value is None:
        return None
    size = _sides(value)
    if size is None:
        raise click.BadParameter(f"expected WIDTHxHEIGHT such as 160x120, received {value!r}")
    return size


def parse_crop(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int, int, int] | None:
    """X,Y,W,H as four integers; whether they make sense is the library's to say."""
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"expected X,Y,W,H such as 0,20,320,236, received {value!r}")
    x, y, width, height = (int(part) for part in parts)
    return x, y, width, height


def parse_track(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | str | None:
    """A number, or the word thermal."""
    if value is None or value.lower() == "thermal":
        return value and value.lower()
    if not value.isdecimal():
        raise click.BadParameter(f"expected a number from 0 or thermal, received {value!r}")
    return int(value)


def _sides(value: str) -> tuple[int, int] | None:
    """Two positive integers around an x, as written."""
    first, _, second = value.lower().partition("x")
    if not (first.isdecimal() and second.isdecimal() and int(first) and int(second)):
        return None
    return int(first), int(second)


_TRANSLATE = (
    click.option("--model", help="Shipped model name or path of an .onnx file."),
    click.option(
        "--backend",
        type=click.Choice(
            ["auto", "tensorrt", "torch", "torch-tensorrt", "onnxruntime", "openvino"]
        ),
        help="Compute engine; by default the first of tensorrt, torch on a GPU, onnxruntime.",
    ),
    click.option(
        "--engines", type=click.Path(path_type=Path), help="Folder of TensorRT plans; engines."
    ),
    click.option(
        "--warm-start/--no-warm-start",
        default=None,
        help="Start on the next best engine while a plan is built; on.",
    ),
    click.option("--threads", type=click.IntRange(min=1), help="Frames translated at a time."),
    click.option(
        "--quality",
        callback=parse_quality,
        metavar="fast|balanced|best|WxH",
        help="Size the network works in: the larger the finer and slower, WIDTHxHEIGHT for one "
        "of your own; balanced for files, best for images, fast for live sources.",
    ),
    click.option(
        "--size",
        callback=parse_size,
        metavar="HxW",
        help="The same as --quality WxH, but HEIGHTxWIDTH.",
    ),
    click.option(
        "--detail",
        type=click.Choice(["guided", "none"]),
        help="Full-size edges from the thermal image, or plain interpolation; none.",
    ),
    click.option(
        "--layout",
        type=click.Choice(["colour", "side-by-side", "semantic"]),
        help="What to show; semantic: class colours over the thermal image, of models that have "
        "classes, on the CPU.",
    ),
    click.option("--mark", is_flag=True, help='Write "synthetic colour" into the picture.'),
)


def translate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: --model and the options of `ladle_rt.config.TranslateOptions`.

    The command receives ``model`` and the rest as keywords for `translate_settings`.
    """
    for option in reversed(_TRANSLATE):
        function = option(function)
    return function


def translate_settings(
    quality: str | tuple[int, int] | None, size: tuple[int, int] | None, **values: Any
) -> TranslateOptions:
    """The settings that `translate_options` and the command's own ``values`` mean.

    Raises:
        ConfigError: two sizes, or values that the library refuses.
    """
    from ladle_rt.config import TranslateOptions

    if quality is not None and size is not None:
        raise ConfigError("--quality and --size both choose the network's size; give one")
    if isinstance(quality, tuple):
        quality, size = None, quality
    return TranslateOptions(**given(quality=quality, size=size, **values))


def given(**values: Any) -> dict[str, Any]:
    """The options that were given; the others keep their defaults in the library."""
    return {name: value for name, value in values.items() if value is not None}


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
)


def read_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options of `ladle_rt.thermal.reading.ReadOptions`.

    The command receives them as keywords for `read_settings`.
    """
    for option in reversed(_READ):
        function = option(function)
    return function


READ_NAMES = ("polarity", "from_palette", "crop", "mask", "track", "raw_size", "recursive")
"""Keywords that `read_options` gives a command."""


def read_settings(values: dict[str, Any]) -> ReadOptions:
    """The settings that `read_options` mean; takes them out of a command's ``values``.

    Raises:
        ConfigError: values that the library refuses.
    """
    from ladle_rt.thermal.reading import ReadOptions

    return ReadOptions(**given(**{name: values.pop(name) for name in READ_NAMES}))

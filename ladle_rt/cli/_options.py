"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def parse_size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """HEIGHTxWIDTH as two positive integers."""
    if value is None:
        return None
    height, _, width = value.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise click.BadParameter(f"expected HEIGHTxWIDTH such as 192x256, received {value!r}")
    return int(height), int(width)


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
    click.option("--size", callback=parse_size, metavar="HxW", help="Box the network works in."),
    click.option(
        "--detail",
        type=click.Choice(["guided", "none"]),
        help="Full-size edges from the thermal image, or plain interpolation.",
    ),
    click.option("--layout", type=click.Choice(["colour", "side-by-side"]), help="What to show."),
    click.option("--mark", is_flag=True, help='Write "synthetic colour" into the picture.'),
)


def translate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: --model and the options of `ladle_rt.config.TranslateOptions`.

    The command receives ``model`` and the rest as keywords for `given`.
    """
    for option in reversed(_TRANSLATE):
        function = option(function)
    return function


def given(**values: Any) -> dict[str, Any]:
    """The options that were given; the others keep their defaults in the library."""
    return {name: value for name, value in values.items() if value is not None}

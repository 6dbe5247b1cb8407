"""Options that several commands share, and the settings that they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.cli._parameters import (
    BackendName,
    parse_agc,
    parse_quality,
    parse_servers,
    parse_size,
    parse_time,
)
from ladle_rt.errors import ConfigError

if TYPE_CHECKING:
    from ladle_rt.config import TranslateOptions

PALETTES = ("white-hot", "black-hot", "ironbow", "lava", "arctic", "green-hot", "rainbow")


_ENGINE = (
    click.option("--model", help="Shipped model name or path of an .onnx file."),
    click.option(
        "--backend",
        type=BackendName(),
        help="Compute engine; by default the first of tensorrt, torch on a GPU, onnxruntime.",
    ),
    click.option(
        "--url",
        "urls",
        callback=parse_servers,
        metavar="URL[,URL...]",
        help="Servers of --backend triton: grpc://HOST:8001[/MODEL[/VERSION]], or http://.",
    ),
    click.option(
        "--deadline",
        "deadline_s",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="For a frame on a server, before another gets it; 10.",
    ),
    click.option(
        "--outage",
        "outage_s",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="How long all servers may be away before the run ends; 30.",
    ),
    click.option("--gpu", metavar="N|UUID", help="As `nvidia-smi -L` prints them; the first."),
    click.option(
        "--engines", type=click.Path(path_type=Path), help="Folder of TensorRT plans; engines."
    ),
    click.option(
        "--warm-start/--no-warm-start",
        default=None,
        help="Start on the next best engine while a plan is built; on, but for --backend "
        "tensorrt, which waits.",
    ),
    click.option(
        "--cuda",
        type=click.Choice(["bindings", "pycuda"]),
        help="How the CUDA driver is called: cuda.bindings or pycuda; bindings.",
    ),
    click.option("--threads", type=click.IntRange(min=1), help="Frames translated at a time."),
    click.option(
        "--quality",
        callback=parse_quality,
        metavar="fast|balanced|best|WxH",
        help="Size the network works in: the larger the finer and slower, WIDTHxHEIGHT for one "
        "of your own; balanced for files, best for images, fast for live sources.",
    ),
    click.option("--size", callback=parse_size, metavar="WxH", help="The same as --quality WxH."),
)

_INPUT = (
    click.option(
        "--allow-colour",
        is_flag=True,
        default=None,
        help="Use the luminance of a coloured input.",
    ),
)
"""What the input is and which part of its picture counts."""

_PICTURE = (
    click.option(
        "--agc",
        callback=parse_agc,
        metavar="MODE",
        help="Thermal tone curve: percentile, fixed:LOW:HIGH, plateau, clahe.",
    ),
    click.option("--stripes", is_flag=True, default=None, help="Suppress row and column stripes."),
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
    click.option(
        "--palette", type=click.Choice(PALETTES), help="Of the thermal picture; white-hot."
    ),
    click.option(
        "--isotherm",
        metavar="LEVEL",
        help="Mark what is hot, because people and objects can vanish in painted colour: 98% "
        "(percentile of the frame), 30000 (counts), 37C (where the source knows degrees).",
    ),
    click.option(
        "--isotherm-style",
        type=click.Choice(["tint", "outline"]),
        help="A palette over hot regions, or their outline; tint.",
    ),
    click.option("--isotherm-palette", type=click.Choice(PALETTES), help="For it; ironbow."),
    click.option(
        "--mark", is_flag=True, default=None, help='Write "synthetic colour" into the picture.'
    ),
)

_VIDEO = (
    click.option("--dead-pixels", is_flag=True, default=None, help="Replace stuck pixels."),
    click.option(
        "--shutter/--no-shutter",
        default=None,
        help="Hold the picture while the camera's shutter is closed; on.",
    ),
    click.option(
        "--skip-unchanged",
        is_flag=True,
        default=None,
        help="No network while nothing changes.",
    ),
    click.option("--steady", type=click.FloatRange(0, 1), help="Flicker suppression, 0 to 1; 1."),
    click.option(
        "--start",
        "start_s",
        callback=parse_time,
        metavar="TIME",
        help="Skip the beginning of a recording: seconds or HH:MM:SS.",
    ),
    click.option(
        "--duration",
        "duration_s",
        callback=parse_time,
        metavar="TIME",
        help="Translate so long: seconds or HH:MM:SS.",
    ),
    click.option(
        "--codec",
        help="FFmpeg's encoder or GStreamer's (nvv4l2h264enc), or h264, h265, vp9, av1; "
        "by OUT otherwise.",
    ),
    click.option("--crf", type=click.IntRange(0, 63), help="Smaller is better and larger."),
    click.option("--preset", help="The encoder's preset, for example veryfast or slow."),
    click.option(
        "--sound/--no-sound", default=None, help="Carry the input's sound into video files; on."
    ),
)


def translate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: --model and what `ladle_rt.config.TranslateOptions` has for every command.

    The command receives ``model`` and the rest as keywords for `translate_settings`.
    """
    return with_options(function, (*_ENGINE, *_INPUT, *_PICTURE))


def video_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `translate_options`, and what makes sense where frames follow each other."""
    return with_options(function, (*_ENGINE, *_INPUT, *_PICTURE, *_VIDEO))


def with_options(function: Callable[..., Any], options: tuple[Any, ...]) -> Callable[..., Any]:
    """The function with options, the first on top."""
    for option in reversed(options):
        function = option(function)
    return function


def translate_settings(
    *,
    quality: str | tuple[int, int] | None = None,
    size: tuple[int, int] | None = None,
    agc: dict[str, Any] | None = None,
    isotherm: str | None = None,
    isotherm_style: str | None = None,
    isotherm_palette: str | None = None,
    codec: str | None = None,
    crf: int | None = None,
    preset: str | None = None,
    urls: tuple[str, ...] | None = None,
    deadline_s: float | None = None,
    outage_s: float | None = None,
    **values: Any,
) -> TranslateOptions:
    """The settings that the shared options mean.

    Raises:
        ConfigError: two sizes, or values that the library refuses.
    """
    from ladle_rt.config import Isotherm, RemoteOptions, TranslateOptions, VideoEncoding

    if quality is not None and size is not None:
        raise ConfigError("--quality and --size both choose the network's size; give one")
    if isinstance(quality, tuple):
        quality, size = None, quality
    look = given(style=isotherm_style, palette=isotherm_palette)
    if look and isotherm is None:
        raise ConfigError("how an isotherm looks needs an isotherm; add --isotherm 98%")
    return TranslateOptions(
        encoding=VideoEncoding(codec, crf, preset),
        remote=RemoteOptions(**given(urls=urls, deadline_s=deadline_s, outage_s=outage_s)),
        **(agc or {}),
        **given(
            quality=quality,
            size=size,
            isotherm=None if isotherm is None else Isotherm.parse(isotherm, **look),
            **values,
        ),
    )


def given(**values: Any) -> dict[str, Any]:
    """The options that were given; the others keep their defaults in the library."""
    return {name: value for name, value in values.items() if value is not None}


def precision_options(
    choices: tuple[str, ...], default: str, help_text: str, int8_base: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: --precision, --calibration and --int8-base of what makes engines from a model.

    Args:
        choices: of the precision.
        default: of the precision.
        help_text: of the precision.
        int8_base: the default of --int8-base.
    """
    options = (
        click.option(
            "--precision",
            type=click.Choice(choices),
            default=default,
            show_default=True,
            help=help_text,
        ),
        click.option(
            "--calibration",
            type=click.Path(path_type=Path),
            help="Folder made by `ladle-rt calibrate`; int8 needs it.",
        ),
        click.option(
            "--int8-base",
            type=click.Choice(["fp32", "fp16"]),
            default=int8_base,
            show_default=True,
            help="What int8 leaves unquantised computes in.",
        ),
    )
    return lambda function: with_options(function, options)

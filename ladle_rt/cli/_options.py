"""Options that several commands share, and the settings that they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.errors import ConfigError

if TYPE_CHECKING:
    from ladle_rt.config import TranslateOptions
    from ladle_rt.temperature import CelsiusScale
    from ladle_rt.thermal.scene_reader import ReadOptions

_BACKENDS = ("auto", "tensorrt", "torch", "torch-tensorrt", "onnxruntime", "openvino", "triton")
QUALITIES = ("fast", "balanced", "best")
PALETTES = ("white-hot", "black-hot", "ironbow", "lava", "arctic", "green-hot", "rainbow")
MAX_SIDE = 2048
"""`ladle_rt.config.MAX_SIZE`, which a test compares."""
AGC_MODES = "percentile, fixed:LOW:HIGH, plateau or clahe"


def parse_size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """WIDTHxHEIGHT, as height and width."""
    if value is None:
        return None
    size = _sides(value)
    if size is None:
        raise click.BadParameter(f"expected WIDTHxHEIGHT such as 256x192, received {value!r}")
    if max(size) > MAX_SIDE:
        raise click.BadParameter(f"expected at most {MAX_SIDE}x{MAX_SIDE}, received {value!r}")
    return size[1], size[0]


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


def parse_backend(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """One of ours, or the name of an installed plug-in."""
    if value is not None and value not in _BACKENDS:
        from ladle_rt.plugins import installed

        names = (*_BACKENDS, *installed("ladle_rt.backends"))
        if value not in names:
            raise click.BadParameter(f"expected one of {', '.join(names)}, received {value!r}")
    return value


def parse_servers(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """Addresses with commas between."""
    if value is None:
        return None
    from ladle_rt.config import RemoteOptions

    try:
        return RemoteOptions(tuple(part for part in value.split(",") if part.strip())).urls
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


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


def parse_temperature(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> CelsiusScale | None:
    """A unit's name or GAIN,OFFSET as the library reads them."""
    from ladle_rt.temperature import parse_scale

    if value is None:
        return None
    try:
        return parse_scale(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


def parse_track(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | str | None:
    """A number, or the word thermal."""
    if value is None or value.lower() == "thermal":
        return value and value.lower()
    if not value.isdecimal():
        raise click.BadParameter(f"expected a number from 0 or thermal, received {value!r}")
    return int(value)


def parse_time(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Seconds, MM:SS or HH:MM:SS, each with a fraction, as seconds."""
    if value is None:
        return None
    parts = value.strip().split(":")
    whole = all(part.isdecimal() for part in parts[:-1])
    try:
        # float() takes more than people mean by a time: "nan", "1_0", "1e3".
        numbers = [float(part) for part in parts if part.replace(".", "", 1).isdecimal()]
    except ValueError:
        numbers = []
    too_large = any(number >= 60 for number in numbers[1:])
    if not whole or len(numbers) != len(parts) or len(parts) > 3 or too_large:
        raise click.BadParameter(
            f"expected seconds or HH:MM:SS such as 2.5 or 00:00:02.5, received {value!r}"
        )
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds


def parse_agc(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, Any] | None:
    """The fields of `TranslateOptions` that a mode stands for."""
    if value is None:
        return None
    mode, _, rest = value.partition(":")
    if mode in ("percentile", "plateau", "clahe") and not rest:
        return {"agc": mode}
    low, _, high = rest.partition(":")
    try:
        if mode == "fixed":
            return {"fixed_range": (float(low), float(high))}
    except ValueError:
        pass
    raise click.BadParameter(f"expected {AGC_MODES}, received {value!r}")


def _sides(value: str) -> tuple[int, int] | None:
    """Two positive integers around an x, as written."""
    first, _, second = value.lower().partition("x")
    sides = [int(side) for side in (first, second) if side.isdecimal() and len(side) < 10]
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None


_ENGINE = (
    click.option("--model", help="Shipped model name or path of an .onnx file."),
    click.option(
        "--backend",
        callback=parse_backend,
        metavar="|".join(_BACKENDS),
        shell_complete=lambda context, parameter, start: [
            name for name in _BACKENDS if name.startswith(start)
        ],
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
    click.option("--codec", help="FFmpeg encoder, or h264, h265, vp9, av1; by OUT otherwise."),
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
    return _with(function, (*_ENGINE, *_INPUT, *_PICTURE))


def video_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `translate_options`, and what makes sense where frames follow each other."""
    return _with(function, (*_ENGINE, *_INPUT, *_PICTURE, *_VIDEO))


def _with(function: Callable[..., Any], options: tuple[Any, ...]) -> Callable[..., Any]:
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
    for option in reversed(_READ):
        function = option(function)
    return function


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

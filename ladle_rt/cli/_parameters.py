"""What words on the command line mean: the types and callbacks of options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from click.shell_completion import CompletionItem

from ladle_rt.errors import ConfigError

if TYPE_CHECKING:
    from ladle_rt.temperature import CelsiusScale

Value = TypeVar("Value")
AGC_MODES = "percentile, fixed:LOW:HIGH, plateau or clahe"


class BackendName(click.types.StringParamType):
    """One of our compute engines, ``auto``, or the name of an installed plug-in."""

    name = "backend"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Ours."""
        return "|".join(self._own())

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those of ours that begin so."""
        return [CompletionItem(name) for name in self._own() if name.startswith(incomplete)]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it was given, if there is such an engine."""
        from ladle_rt.plugins import installed

        own = self._own()
        if value not in own and value not in installed("ladle_rt.backends"):
            names = ", ".join((*own, *installed("ladle_rt.backends")))
            self.fail(f"expected one of {names}, received {value!r}", param, ctx)
        return value

    def _own(self) -> tuple[str, ...]:
        from ladle_rt.config import BACKENDS

        return "auto", *BACKENDS


def _option(
    parse: Callable[[str], Value],
) -> Callable[[click.Context, click.Parameter, str | None], Value | None]:
    """A callback of click's: an option that was not given stays ``None``."""

    def callback(
        context: click.Context, parameter: click.Parameter, text: str | None
    ) -> Value | None:
        try:
            return None if text is None else parse(text)
        except ConfigError as error:
            raise click.BadParameter(str(error)) from error

    return callback


@_option
def parse_size(value: str) -> tuple[int, int]:
    """WIDTHxHEIGHT, as height and width."""
    return _network_size(value)


def parse_sizes(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """Every WIDTHxHEIGHT of a repeatable option, as height and width."""
    return tuple(_network_size(value) for value in values)


@_option
def parse_quality(value: str) -> str | tuple[int, int]:
    """A word, or WIDTHxHEIGHT as height and width."""
    from ladle_rt.config import Quality

    words = get_args(Quality)
    if value.lower() in words:
        return value.lower()
    size = _sides(value)
    if size is None:
        raise click.BadParameter(
            f"expected {', '.join(words)} or WIDTHxHEIGHT such as 512x384, received {value!r}"
        )
    return size[1], size[0]


@_option
def parse_servers(value: str) -> tuple[str, ...]:
    """Addresses with commas between."""
    from ladle_rt.config import RemoteOptions

    return RemoteOptions(tuple(part for part in value.split(",") if part.strip())).urls


@_option
def parse_raw_size(value: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as two positive integers."""
    size = _sides(value)
    if size is None:
        raise click.BadParameter(f"expected WIDTHxHEIGHT such as 160x120, received {value!r}")
    return size


@_option
def parse_crop(value: str) -> tuple[int, int, int, int]:
    """X,Y,W,H as four integers; whether they make sense is the library's to say."""
    parts = value.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"expected X,Y,W,H such as 0,20,320,236, received {value!r}")
    x, y, width, height = (int(part) for part in parts)
    return x, y, width, height


@_option
def parse_temperature(value: str) -> CelsiusScale:
    """A unit's name or GAIN,OFFSET as the library reads them."""
    from ladle_rt.temperature import parse_scale

    return parse_scale(value)


@_option
def parse_track(value: str) -> int | str:
    """A number, or the word thermal."""
    if value.lower() == "thermal":
        return value.lower()
    if not value.isdecimal():
        raise click.BadParameter(f"expected a number from 0 or thermal, received {value!r}")
    return int(value)


@_option
def parse_time(value: str) -> float:
    """Seconds, MM:SS or HH:MM:SS, each with a fraction, as seconds."""
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


@_option
def parse_agc(value: str) -> dict[str, Any]:
    """The fields of `TranslateOptions` that a mode stands for."""
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


def _network_size(value: str) -> tuple[int, int]:
    from ladle_rt.config import MAX_SIZE

    size = _sides(value)
    if size is None:
        raise click.BadParameter(f"expected WIDTHxHEIGHT such as 256x192, received {value!r}")
    if max(size) > MAX_SIZE:
        raise click.BadParameter(f"expected at most {MAX_SIZE}x{MAX_SIZE}, received {value!r}")
    return size[1], size[0]


def _sides(value: str) -> tuple[int, int] | None:
    """Two positive integers around an x, as written."""
    first, _, second = value.lower().partition("x")
    sides = [int(side) for side in (first, second) if side.isdecimal() and len(side) < 10]
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None

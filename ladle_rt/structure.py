"""Frozen dataclasses from the plain values that TOML, JSON and flags hold, and back, by cattrs.

Strict: nothing is coerced but lists to tuples, texts to paths, and whole numbers to floats.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

from ladle_rt.errors import LadleError, shown

T = TypeVar("T")


def structure(kind: type[T], values: Any, where: str, error: type[LadleError]) -> T:
    """A dataclass from a mapping of its fields, nested ones included.

    Args:
        kind: a dataclass whose annotations use int, float, str, bool, Path, Literal, tuple, list,
            dict[str, ...], dataclasses of the same sort, and ``| None``. With ``AS_LIST`` it may
            also be written as the list of its fields' values.
        values: values by field name; those that are such dataclasses already are kept.
        where: what to call the mapping in messages.
        error: raised in one line where the values do not fit; errors of this package that the
            dataclasses raise themselves pass.
    """
    try:
        return _converter().structure(values, kind)
    except (BaseValidationError, _UnfitError) as failure:
        path, first = _first(failure)
        if isinstance(first, LadleError):
            raise first from None
        place = f" for {path}" if path else ""
        raise error(f"{where}: {_describe(first, place)}") from None


def to_plain(value: Any, path: Callable[[Path], str] = str) -> Any:
    """What JSON and TOML hold of a dataclass's `dataclasses.asdict`: the reverse of `structure`.

    Args:
        value: dicts, lists and tuples of plain values and paths.
        path: what a path becomes.
    """
    if isinstance(value, dict):
        return {key: to_plain(item, path) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item, path) for item in value]
    return path(value) if isinstance(value, Path) else value


class _UnfitError(Exception):
    """A value of another kind than its field's."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(expected)
        self.expected = expected
        self.value = value


def _describe(error: Exception, place: str) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        name = min(error.extra_fields)
        known = sorted(field.name for field in dataclasses.fields(error.cl))
        near = difflib.get_close_matches(name, known, 1, 0.7)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return f"unknown key {shown(repr(name))}{place}; {hint}"
    if isinstance(error, KeyError):
        return f"expected a value{place}, received none"
    if isinstance(error, _UnfitError):
        return f"expected {error.expected}{place}, received {shown(repr(error.value))}"
    return f"{shown(error, 300)}{place}"


def _first(error: Exception) -> tuple[str, Exception]:
    """The path and the reason of the first fault."""
    path = ""
    while True:
        for note in getattr(error, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                path += f".{note.name}"
            elif isinstance(note, IterableValidationNote):
                path += f"[{note.index}]"
        if not isinstance(error, BaseValidationError):
            return path.removeprefix("."), error
        # Unknown names are the last that cattrs finds and the first that one wants to know.
        error = next(
            (e for e in error.exceptions if isinstance(e, ForbiddenExtraKeysError)),
            error.exceptions[0],
        )


@functools.cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for kind, (expected, accepts) in _PLAIN.items():
        converter.register_structure_hook(kind, _plain(kind, expected, accepts))
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_func(lambda hint: hint == int | str | None, _int_or_text)
    for origin, factory in ((tuple, _tuple), (list, _list), (dict, _dict)):
        converter.register_structure_hook_factory(
            functools.partial(_comes_from, origin), functools.partial(factory, converter)
        )
    converter.register_structure_hook_factory(
        dataclasses.is_dataclass, functools.partial(_dataclass, converter)
    )
    return converter


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Compared, because `math.isfinite` cannot take whole numbers that no float can hold.
    return number and -sys.float_info.max <= value <= sys.float_info.max


_PLAIN: dict[type, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    float: ("a finite number", _is_number),
    str: ("a text", lambda value: isinstance(value, str)),
    Path: ("a path", lambda value: isinstance(value, (str, Path))),
}
"""What to call a kind, and which values are of it."""


def _plain(kind: type, expected: str, accepts: Callable[[Any], bool]) -> Callable[[Any, type], Any]:
    def hook(value: Any, _: type) -> Any:
        if not accepts(value):
            raise _UnfitError(expected, value)
        return kind(value)

    return hook


def _int_or_text(value: Any, _: Any) -> int | str | None:
    """The one union of the settings."""
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return value
    raise _UnfitError("a whole number or a text", value)


def _is_literal(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _literal(value: Any, hint: Any) -> Any:
    choices = get_args(hint)
    if value not in choices:
        raise _UnfitError(f"one of {', '.join(map(str, choices))}", value)
    return value


def _comes_from(origin: type, hint: Any) -> bool:
    return get_origin(hint) is origin


def _list(converter: Converter, hint: Any) -> Callable[[Any, Any], list[Any]]:
    fill = list_structure_factory(hint, converter)

    def hook(values: Any, _: Any) -> list[Any]:
        if not isinstance(values, (list, tuple)):
            raise _UnfitError("a list", values)
        filled: list[Any] = fill(values, hint)
        return filled

    return hook


def _tuple(converter: Converter, hint: Any) -> Callable[[Any, Any], tuple[Any, ...]]:
    kinds = get_args(hint)
    if kinds[-1] is Ellipsis:
        fill = _list(converter, list[kinds[0]])  # type: ignore[valid-type]
        return lambda values, _: tuple(fill(values, None))

    def hook(values: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(values, (list, tuple)):
            raise _UnfitError("a list", values)
        if len(values) != len(kinds):
            raise _UnfitError(f"{len(kinds)} values", list(values))
        return tuple(converter.structure(v, kind) for v, kind in zip(values, kinds, strict=True))

    return hook


def _dict(converter: Converter, hint: Any) -> Callable[[Any, Any], dict[str, Any]]:
    inner = get_args(hint)[1]

    def hook(values: Any, _: Any) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise _UnfitError("a table", values)
        return {str(key): converter.structure(value, inner) for key, value in values.items()}

    return hook


def _dataclass(converter: Converter, kind: type[Any]) -> Callable[[Any, Any], Any]:
    fill = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)
    names = [field.name for field in dataclasses.fields(kind)]

    def hook(values: Any, _: Any) -> Any:
        if isinstance(values, kind):
            return values
        if getattr(kind, "AS_LIST", False) and isinstance(values, list):
            if len(values) != len(names):
                raise _UnfitError(f"{len(names)} values", values)
            values = dict(zip(names, values, strict=True))
        if not isinstance(values, Mapping):
            raise _UnfitError("a table", values)
        return fill(values, kind)

    return hook

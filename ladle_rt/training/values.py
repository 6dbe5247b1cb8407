"""Frozen dataclasses from the plain values that TOML, JSON and flags hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ladle_rt.errors import ConfigError

T = TypeVar("T")

_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def from_values(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from a mapping of its fields, nested ones included.

    Lists become tuples, texts paths, whole numbers floats where the field says so.

    Args:
        kind: a dataclass whose annotations use int, float, str, bool, Path, Literal, tuple,
            dataclasses of the same sort, and ``| None``.
        values: values by field name.
        where: what to call the mapping in messages.

    Raises:
        ConfigError: not a mapping, unknown or missing fields, values of another kind.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a table of settings, received {values!r}")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known.keys()):
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}; known are {sorted(known)}")
    for name, field in known.items():
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if name not in values and not optional:
            raise ConfigError(f"{where}: expected a value for {name}, received none")
    hints = get_type_hints(kind)
    return kind(**{name: _fit(value, hints[name], name, where) for name, value in values.items()})


def _fit(value: Any, hint: Any, name: str, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        inner = next(argument for argument in arguments if argument is not NoneType)
        return _fit(value, inner, name, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return value if isinstance(value, hint) else from_values(hint, value, f"[{name}]")
    if origin is tuple:
        return _fit_tuple(value, arguments, name, where)
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{name} must be one of {arguments}, received {value!r}")
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(
        f"{where}: expected {_NAMES.get(hint, 'a path')} for {name}, received {value!r}"
    )


def _fit_tuple(value: Any, arguments: tuple[Any, ...], name: str, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: expected a list for {name}, received {value!r}")
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise ConfigError(
            f"{where}: expected {len(arguments)} values for {name}, received {list(value)}"
        )
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
    return tuple(_fit(item, kind, name, where) for item, kind in zip(value, kinds, strict=True))

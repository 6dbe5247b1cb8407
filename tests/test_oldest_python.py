"""The package uses nothing of the standard library that the oldest supported Python lacks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

mypy = pytest.importorskip("mypy", reason="its stubs know what came with which Python")

ROOT = Path(__file__).resolve().parents[1]
STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"
Version = tuple[int, int]


def oldest() -> Version:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'requires-python = ">=(\d+)\.(\d+)"', text)
    assert found is not None
    return int(found[1]), int(found[2])


@cache
def first_versions() -> dict[str, Version]:
    """By module, the Python that it came with."""
    lines = (STUBS / "VERSIONS").read_text(encoding="utf-8").splitlines()
    found = re.findall(r"^([\w.]+): (\d+)\.(\d+)-", "\n".join(lines), re.MULTILINE)
    return {name: (int(major), int(minor)) for name, major, minor in found}


def defined(body: list[ast.stmt], version: Version) -> Iterator[str]:
    """Names at the top of a stub, for one Python."""
    for node in body:
        if isinstance(node, ast.If):
            python = SimpleNamespace(version_info=(*version, 0), platform="linux")
            test = compile(ast.Expression(node.test), "stub", "eval")
            yield from defined(node.body if eval(test, {"sys": python}) else node.orelse, version)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (one.asname or one.name for one in node.names)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@cache
def too_new(module: str, version: Version) -> frozenset[str]:
    """Names of a module of the standard library that came after a Python."""
    places = [STUBS / f"{module.replace('.', '/')}{end}" for end in (".pyi", "/__init__.pyi")]
    stub = next((one for one in places if one.is_file()), None)
    if stub is None:
        return frozenset()
    body = ast.parse(stub.read_text(encoding="utf-8")).body
    return frozenset(defined(body, (3, 99))) - frozenset(defined(body, version))


def uses(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Modules that are imported, and names that are taken from them."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, one.name) for one in node.names)
    yield from ((module, "") for module in modules.values())
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name)) if name in modules:
                yield modules[name], node.attr


def missing(source: str, version: Version) -> set[str]:
    return {
        f"{module}.{name}".rstrip(".")
        for module, name in uses(ast.parse(source, feature_version=version))
        if first_versions().get(module, version) > version or name in too_new(module, version)
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import datetime\ndatetime.UTC", {"datetime.UTC"}),
        ("from datetime import UTC, timezone", {"datetime.UTC"}),
        ("import tomllib", {"tomllib"}),
        ("import datetime as d\nd.timezone.utc", set()),
        ("from enum import Enum, StrEnum", {"enum.StrEnum"}),
    ],
)
def test_what_came_later_is_found(source: str, expected: set[str]) -> None:
    assert missing(source, (3, 10)) == expected


def test_nothing_is_used_that_came_later() -> None:
    for path in sorted((ROOT / "ladle_rt").rglob("*.py")):
        found = missing(path.read_text(encoding="utf-8"), oldest())
        assert not found, f"{path.relative_to(ROOT)}: Python {oldest()} has no {sorted(found)}"

"""Options that choose pairs of images, and what several commands do with tables and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import with_options

_PAIRS = (
    click.option(
        "--layout",
        default="auto",
        help="kaist, flir-aligned, llvip, msrs, folders; recognised by default.",
    ),
    click.option("--split", help="Only this split."),
    click.option(
        "--image-list", type=click.Path(path_type=Path), help="Names of pairs, a line each."
    ),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first pairs."),
    click.option("--subset", type=click.IntRange(min=1), help="Only so many, evenly spaced."),
)


def pair_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options that `ladle_rt.evaluation.pair_selection.choose_pairs` takes."""
    return with_options(function, _PAIRS)


def check_targets(targets: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse what could not be written at the end, before the work."""
    from ladle_rt.files import check_target

    read = list(inputs)
    for target in targets:
        if target is not None:
            check_target(target, overwrite=True, inputs=read)


def watch(items: Sequence[Any]) -> Iterable[Any]:
    """Hand items on, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "", console=console, transient=True, disable=not console.is_terminal)


def show(*tables: Any) -> None:
    """Print tables; not narrower than they need where nobody watches."""
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 200)
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(table)


def write_json(path: Path | None, values: Any) -> None:
    """Write a JSON file whole or not at all."""
    import json

    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path: Path | None, text: str) -> None:
    """Write a text file whole or not at all."""
    from ladle_rt import files

    if path is not None:
        files.write_text(path, text)


def typed_command() -> str:
    """The command line, for reports; can be pasted into a shell again."""
    import shlex
    import sys

    return shlex.join(["ladle-rt", *sys.argv[1:]])


def first_lines(folder: Path) -> list[tuple[str, str]]:
    """TOML files that ship by name, each with the comment that it begins with, for a help text."""
    return [
        (path.stem, path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# "))
        for path in sorted(folder.glob("*.toml"))
    ]

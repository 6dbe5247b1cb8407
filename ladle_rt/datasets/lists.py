"""Image lists: text files that name the pairs to use."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ladle_rt.datasets.pairs import Pair
from ladle_rt.datasets.read_image import SUFFIXES
from ladle_rt.documents import read_text
from ladle_rt.errors import DatasetError

logger = logging.getLogger("ladle_rt")

_COMMENT = re.compile(r"(?:^|\s)#.*")


def read_image_list(path: Path) -> list[str]:
    """Names in an image list, one per line, without blank lines and ``#`` comments.

    Raises:
        DatasetError: the list is missing, a folder, empty or not UTF-8 text.
    """
    text = read_text(path, "an image list in UTF-8", DatasetError)
    lines = text.removeprefix("\ufeff").splitlines()
    names = [name for name in (_COMMENT.sub("", line).strip() for line in lines) if name]
    if not names:
        raise DatasetError(f"{path}: expected one image name per line, received an empty list")
    return names


def without_suffix(name: str) -> str:
    """A name or path in a list, without its image suffix."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def select(
    pairs: Iterable[Pair], names: Iterable[str], origin: Path, key: Callable[[str], str]
) -> list[Pair]:
    """The named pairs, each once, in the list's order.

    Args:
        pairs: what can be chosen from.
        names: as they stand in the list: a pair's name or its last part where that is unique,
            either image's path, with or without suffix.
        origin: the list, for messages.
        key: turns a path in the layout's spelling into a pair's name, folders above it kept.

    Raises:
        DatasetError: the list names a pair that is not there.
    """
    by_name = {pair.name: pair for pair in pairs}
    by_stem: dict[str, Pair | None] = {}
    for pair in by_name.values():
        stem = pair.name.rpartition("/")[2]
        by_stem[stem] = None if stem in by_stem else pair

    def find(line: str) -> Pair | None:
        name = key(line.replace("\\", "/"))
        parts = name.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((by_name[tail] for tail in tails if tail in by_name), by_stem.get(name))

    wanted = list(names)
    chosen: dict[str, Pair] = {}
    missing: list[str] = []
    repeated: list[str] = []
    for line in wanted:
        found = find(line)
        if found is None:
            missing.append(line)
        elif found.name in chosen:
            repeated.append(line)
        else:
            chosen[found.name] = found
    if missing:
        raise DatasetError(
            f"{origin}: {len(missing)} of {len(wanted)} listed images are not in the dataset, "
            f"first {missing[0]!r}; expected names such as {next(iter(by_name))!r}"
        )
    if repeated:
        logger.warning(
            "%s: %d of %d lines name an image again, first %r; each is kept once",
            *(origin, len(repeated), len(wanted), repeated[0]),
        )
    return list(chosen.values())

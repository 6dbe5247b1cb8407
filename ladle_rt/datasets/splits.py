"""Parts of a dataset that its authors did not make: the published random split, and samples."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ladle_rt.datasets.pairs import Pair
from ladle_rt.errors import DatasetError

logger = logging.getLogger("ladle_rt")

LEAKY_SPLITS = ("leaky-train", "leaky-test")
"""Names of the published random 80/20 split over frames (arXiv 2308.06603)."""
LEAKY_TRAIN_SHARE = 0.8

_warned: set[Path] = set()


def leaky_split(pairs: Sequence[Pair]) -> list[Pair]:
    """The same pairs, their ``split`` drawn anew over frames: 80 % train, the rest test.

    Neighbouring frames of a video fall into both parts, so a model has seen almost every test
    image: one warning per dataset and process says so. The draw depends on the names alone.

    Raises:
        DatasetError: fewer than two pairs.
    """
    root = pairs[0].root
    if len(pairs) < 2:
        raise DatasetError(f"{root}: expected at least 2 pairs to split, received 1")
    if root not in _warned:
        _warned.add(root)
        logger.warning(
            "%s: frames split at random, as published: adjacent frames leak between the parts, and "
            "scores are not comparable with those of scene-disjoint splits",
            root,
        )
    # A digest draws the same way on every version of Python and NumPy; generators do not.
    drawn = sorted(pair.name for pair in pairs)
    drawn.sort(key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())
    train = set(drawn[: int(LEAKY_TRAIN_SHARE * len(drawn))])
    return [replace(pair, split=LEAKY_SPLITS[pair.name not in train]) for pair in pairs]


def subset(pairs: Sequence[Pair], n: int) -> list[Pair]:
    """``n`` pairs evenly spaced, the first and the last among them; all where there are fewer.

    Raises:
        DatasetError: ``n`` is less than 1.
    """
    if n < 1:
        raise DatasetError(f"a subset holds at least 1 pair, received {n}")
    if n >= len(pairs):
        return list(pairs)
    return [pairs[index * (len(pairs) - 1) // max(n - 1, 1)] for index in range(n)]

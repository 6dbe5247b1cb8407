"""Which pairs are evaluated, and which of the others a model may have been trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ladle_rt.datasets import Pair, find_pairs
from ladle_rt.datasets import subset as spaced

LEAKY_TEST = "leaky-test"


@dataclass(frozen=True, slots=True)
class PairSelection:
    """Pairs to work on, and what else lies beside them."""

    every: list[Pair]
    """All pairs of the folder."""
    pairs: list[Pair]
    """Those that were asked for."""
    trained_on: list[Pair]
    """Training pairs that are not among them."""


def choose_pairs(
    data: Path,
    layout: str = "auto",
    split: str | None = None,
    image_list: Path | None = None,
    limit: int | None = None,
    subset: int | None = None,
) -> PairSelection:
    """Find pairs; the folder is searched again only for a list or a split drawn at random.

    Args:
        data: the dataset's folder.
        layout: see `find_pairs`.
        split: see `find_pairs`.
        image_list: see `find_pairs`.
        limit: only so many, the first.
        subset: only so many of these, evenly spaced.

    Raises:
        InputNotFoundError: no such folder.
        DatasetError: nothing recognised, or nothing left.
    """
    every = find_pairs(data, layout)
    pairs = every if split is None else [pair for pair in every if pair.split == split]
    if image_list is not None or not pairs:
        pairs = find_pairs(data, layout, split, image_list)
    test = {pair.name for pair in pairs} if split == LEAKY_TEST and image_list is None else None
    pairs = pairs[:limit]
    if subset is not None:
        pairs = spaced(pairs, subset)
    if test is not None:
        # The random split has training pairs of its own: all the others.
        trained_on = [pair for pair in every if pair.name not in test]
    else:
        names = {pair.name for pair in pairs}
        trained_on = [pair for pair in every if pair.split == "train" and pair.name not in names]
    return PairSelection(every, pairs, trained_on)

"""Which of many frames to calibrate on: every drive, day and night, and unlike each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

SIGNATURE_BINS = 16
KINDS = 8
"""Kinds of histogram that are told apart."""
PHASES = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that could be calibrated on."""

    origin: str
    """Dataset folder, image folder or video, as it was given."""
    name: str
    """Path below the origin, or number of the frame in the video."""
    sequence: str
    """Drive or recording; unique together with the origin."""
    light: str
    """day, night, dusk or unknown."""
    sha256: str
    """Of the image file, or of the decoded pixels of a video's frame."""
    percentiles: tuple[float, float, float]
    """1st, 50th and 99th at network size, in the file's own counts."""
    signature: npt.NDArray[np.float32]
    """What `signature` makes of the frame."""
    file: Path
    """Lossless copy at network size: HxW, uint8 or uint16 in the file's own counts."""
    visible: Path | None = None
    """Image of the same moment in visible light, where there is one: a truth for the gate."""
    kind: int = 0
    """Cluster of histograms, from 0; see `with_kinds`."""


def signature(thermal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What frames are compared by.

    Args:
        thermal: what the network sees, any shape, in [0,1].

    Returns:
        Square roots of the shares of `SIGNATURE_BINS` bins, whose distances are Hellinger's.
    """
    counts, _ = np.histogram(thermal, SIGNATURE_BINS, (0, 1))
    shares: npt.NDArray[np.float32] = np.sqrt(counts / thermal.size).astype(np.float32)
    return shares


def with_kinds(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same candidates, told apart into at most `KINDS` by their signatures."""
    if len(candidates) <= KINDS:
        return [replace(item, kind=number) for number, item in enumerate(candidates)]
    signatures = np.stack([item.signature for item in candidates])
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    cv2.setRNGSeed(0)
    labels: Any = None
    _, labels, _ = cv2.kmeans(signatures, KINDS, labels, criteria, 3, cv2.KMEANS_PP_CENTERS)
    return [
        replace(item, kind=int(label))
        for item, label in zip(candidates, labels.reshape(-1), strict=True)
    ]


def choose(candidates: Sequence[Candidate], count: int) -> list[int]:
    """Indices of ``count`` candidates, or of all where there are fewer, in ascending order.

    Groups are all that differ in origin, sequence, light or kind. They take turns, smallest
    first, and give evenly spaced frames: a long drive does not drown a short one.
    """
    if len(candidates) <= count:
        return list(range(len(candidates)))
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, item in enumerate(candidates):
        groups[item.origin, item.sequence, item.light, item.kind].append(index)
    chosen: list[int] = []
    left = sorted(groups.values(), key=len)
    for position, members in enumerate(left):
        share = (count - len(chosen)) // (len(left) - position)
        # Out of step by the golden ratio: groups that give one frame each do not all give theirs
        # from the middle of the recording.
        phase = round((0.5 + 0.618 * position) % 1 * PHASES) % PHASES
        chosen.extend(members[pick] for pick in spaced(len(members), share, phase))
    return sorted(chosen)


def spaced(available: int, wanted: int, phase: int = PHASES // 2) -> list[int]:
    """``wanted`` different indices below ``available``, evenly spaced; all where there are fewer.

    Args:
        available: indices to choose from.
        wanted: how many.
        phase: where in its part each stands, of `PHASES`.
    """
    wanted = min(available, wanted)
    return [
        (position * PHASES + phase) * available // (wanted * PHASES) for position in range(wanted)
    ]

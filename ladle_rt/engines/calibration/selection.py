"""Which of many frames to calibrate on: every drive, day and night, and unlike each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels

SIGNATURE_BINS = 16
CLUSTERS = 8
"""Kinds of histogram that are told apart."""


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
    pixels: ThermalPixels
    """At network size, HxW, uint8 or uint16 in the file's own counts."""
    thermal: npt.NDArray[np.float32]
    """What the network sees: [H,W] in [0,1], padded to the size multiple."""


def choose(candidates: Sequence[Candidate], count: int) -> list[int]:
    """Indices of ``count`` candidates, or of all where there are fewer, in ascending order.

    Groups are all that differ in origin, sequence, light or cluster of histograms. They take
    turns, smallest first, and give evenly spaced frames: a long drive does not drown a short one.
    """
    if len(candidates) <= count:
        return list(range(len(candidates)))
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, cluster in enumerate(_clusters(candidates)):
        item = candidates[index]
        groups[item.origin, item.sequence, item.light, cluster].append(index)
    chosen: list[int] = []
    left = sorted(groups.values(), key=len)
    for position, members in enumerate(left):
        share = (count - len(chosen)) // (len(left) - position)
        wanted = min(len(members), share)
        picks = np.linspace(0, len(members) - 1, wanted).round().astype(int)
        chosen.extend(members[pick] for pick in picks)
    # With more groups than frames the smallest ones got nothing; the last turn fills up.
    rest = [index for index in range(len(candidates)) if index not in set(chosen)]
    missing = count - len(chosen)
    if missing > 0:
        picks = np.linspace(0, len(rest) - 1, missing).round().astype(int)
        chosen.extend(rest[pick] for pick in picks)
    return sorted(chosen)


def _clusters(candidates: Sequence[Candidate]) -> list[int]:
    signatures = np.stack([_signature(item.thermal) for item in candidates])
    if len(candidates) <= CLUSTERS:
        return list(range(len(candidates)))
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    cv2.setRNGSeed(0)
    labels: Any = None
    _, labels, _ = cv2.kmeans(signatures, CLUSTERS, labels, criteria, 3, cv2.KMEANS_PP_CENTERS)
    return [int(label) for label in labels.reshape(-1)]


def _signature(thermal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Square roots of the shares of the bins, whose distances are Hellinger's."""
    counts, _ = np.histogram(thermal, SIGNATURE_BINS, (0, 1))
    shares: npt.NDArray[np.float32] = np.sqrt(counts / thermal.size).astype(np.float32)
    return shares

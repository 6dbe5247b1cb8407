"""A caller's arrays and frames as frames to translate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.errors import InputError
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.thermal.arrays import Plane, check_plane, scene_counts
from ladle_rt.thermal.polarity import Polarity, PolaritySwitch
from ladle_rt.thermal.validity import ValidScene
from ladle_rt.translate.network_size import Size

ThermalArray = npt.NDArray[Any]
"""One thermal picture, HxW or HxWx1: uint8 or uint16 counts in any range, or floats in any unit;
larger is hotter. NaN and what else is not scene (see `ladle_rt.thermal.validity`) does not set
levels. Or a batch, [N,H,W] or [N,H,W,1]."""


def single_frames(
    planes: Sequence[Plane],
    to_counts: Callable[[Plane], ThermalPixels],
    polarity: Polarity,
    valid: ValidScene,
) -> Iterator[Frame]:
    """Pictures by themselves, as counts.

    Args:
        planes: checked.
        to_counts: `to_counts` of `ladle_rt.thermal.arrays`.
        polarity: of each; ``auto`` looks at each.
        valid: fills what is not scene.
    """
    for number, plane in enumerate(planes):
        switch = PolaritySwitch(polarity, "thermal")
        counts = switch.apply(scene_counts(plane, to_counts, valid))
        yield Frame(counts, number, timestamp_ns=number)


def timed_frames(
    frames: Iterable[ThermalArray | Frame],
    step_s: Fraction,
    to_counts: Callable[[Plane], ThermalPixels],
    polarity: Polarity,
) -> Iterator[Frame]:
    """A stream to translate: checked, as counts, of one size.

    Args:
        frames: arrays, and frames, which are white-hot: their source was asked.
        step_s: between arrays, seconds.
        to_counts: `to_counts` or `FloatRange.counts` of `ladle_rt.thermal.arrays`.
        polarity: of arrays; ``auto`` looks at the first.

    Raises:
        InputError: not a thermal picture, or of another size than the first.
    """
    valid, switch = ValidScene("thermal"), PolaritySwitch(polarity, "thermal")
    expected: Size | None = None
    for number, item in enumerate(frames):
        if isinstance(item, Frame) and item.fault is not None:
            continue
        name = f"frame {number}"
        if isinstance(item, Frame):
            frame = replace(
                item, pixels=scene_counts(check_plane(item.pixels, name), to_counts, valid)
            )
        else:
            plane = check_plane(item, name)
            counts = switch.apply(scene_counts(plane, to_counts, valid))
            # It may be a camera's buffer, which the next picture will overwrite.
            if np.may_share_memory(counts, plane):
                counts = counts.copy()
            frame = Frame(counts, number, time.monotonic_ns(), number, step_s)
        expected = expected or frame_size(frame)
        if frame_size(frame) != expected:
            raise InputError(
                "{}: expected {}x{} pixels like the first, received {}x{}; start another stream "
                "for another size".format(name, *expected[::-1], *frame_size(frame)[::-1])
            )
        yield frame


def frame_size(frame: Frame) -> Size:
    """Height and width."""
    height, width = frame.pixels.shape
    return height, width

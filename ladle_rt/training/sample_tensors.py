"""One training sample as tensors, and pairs as they are without augmentation."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ladle_rt.datasets import Pair, read_pair
from ladle_rt.datasets.labels import UNSURE
from ladle_rt.datasets.look import Look, to_look
from ladle_rt.thermal.normalization import ThermalNormalization, normalize
from ladle_rt.training.augment import crop_and_resize
from ladle_rt.training.pair_reader import Loaded
from ladle_rt.training.train_config import PAPER_SIZE, TrainConfig

LABEL_STRIDE = 4
"""Pixels of a sample for one of its label map, which is as coarse as a Handle's logits."""


class Sample(NamedTuple):
    """One sample, or a batch of them with a first axis N."""

    thermal: Tensor
    """float32 [1,H,W] in [0,1]."""
    visible: Tensor
    """float32 [3,H,W] RGB in [0,1], in the run's look."""
    rows: Tensor
    """float32 [2]: first and last row in the whole frame, 0 its top, 1 its bottom."""
    labels: Tensor
    """uint8 [H/4,W/4], classes of `ladle_rt.datasets.labels`; all unsure where there are none."""
    whole: Tensor
    """float32 []: 1 for a scene, 0 for a mosaic of crops."""
    unpaired: Tensor
    """float32 [1,H,W] in [0,1], a frame without a truth; [0,H,W] where the run has none."""
    unpaired_rows: Tensor
    """float32 [2]: its ``rows``."""


def validation_frame(pair: Pair, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """A pair as the run validates on it, of size ``config.crop``, without augmentation.

    Raises:
        DatasetError: a pair of two aspect ratios or a flat thermal image.
    """
    if config.sampling == "paper":
        thermal, visible = read_pair(pair)
        loaded = Loaded(thermal, to_look(visible, config.look), None)
        return centre(loaded, config.crop, config.thermal)[:2]
    return whole_frame(pair, config.crop, config.thermal, config.look)


def whole_frame(
    pair: Pair, size: tuple[int, int], spec: ThermalNormalization, look: Look = "none"
) -> tuple[Tensor, Tensor]:
    """A pair without augmentation, the whole frame resized to ``size`` by INTER_AREA."""
    thermal, visible = read_pair(pair)
    target = (size[1], size[0])
    small = cv2.resize(thermal, target, interpolation=cv2.INTER_AREA)
    truth = cv2.resize(to_look(visible, look), target, interpolation=cv2.INTER_AREA)
    loaded = Loaded(small, truth, None)  # type: ignore[arg-type]
    return to_sample(normalize(loaded.thermal, spec), loaded)[:2]


def centre(loaded: Loaded, crop: tuple[int, int], spec: ThermalNormalization) -> Sample:
    """The published preparation: resize to 300x400, cut out the centre."""
    thermal, visible = loaded.thermal, loaded.visible
    if thermal.shape != PAPER_SIZE:
        thermal, visible = crop_and_resize(thermal, visible, (0, 0, *thermal.shape), PAPER_SIZE)
    top, left = ((whole - part) // 2 for whole, part in zip(PAPER_SIZE, crop, strict=True))
    window = np.s_[top : top + crop[0], left : left + crop[1]]
    unit = normalize(thermal, spec)[window]
    return to_sample(unit, Loaded(thermal[window], visible[window], None))


def to_sample(
    unit: npt.NDArray[np.float32],
    loaded: Loaded,
    rows: tuple[float, float] = (0.0, 1.0),
    scene: bool = True,
) -> Sample:
    """Tensors of one sample.

    Args:
        unit: network input, HxW float32 in [0,1].
        loaded: truth and labels of the same size; its thermal counts are not looked at.
        rows: see `Sample`.
        scene: whether it is one picture and no mosaic.
    """
    height, width = unit.shape
    coarse = torch.full((height // LABEL_STRIDE, width // LABEL_STRIDE), UNSURE, dtype=torch.uint8)
    if loaded.labels is not None:
        middle = slice(LABEL_STRIDE // 2, None, LABEL_STRIDE)
        picked = np.ascontiguousarray(loaded.labels[middle, middle])
        coarse = torch.from_numpy(picked)[: coarse.shape[0], : coarse.shape[1]]
    rgb = np.ascontiguousarray(loaded.visible.transpose(2, 0, 1))
    return Sample(
        torch.from_numpy(np.ascontiguousarray(unit)[None]),
        torch.from_numpy(rgb).float() / 255,
        torch.tensor(rows, dtype=torch.float32),
        coarse,
        torch.tensor(float(scene)),
        torch.zeros(0, height, width),
        torch.tensor((0.0, 1.0)),
    )


def flipped(sample: Sample) -> Sample:
    """Left and right exchanged."""
    images = {name: getattr(sample, name).flip(-1) for name in ("thermal", "visible", "labels")}
    return sample._replace(**images)

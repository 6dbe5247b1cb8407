"""How much of a scene's classes a linear map reads from the Handle's output.

"Essentially performs semantic segmentation" (arXiv 2308.06603) can be tested: a multinomial
logistic regression from the Handle's output, pixel by pixel, to label maps (Alain & Bengio 2016,
arXiv 1610.01644), beside the same from the thermal value, from a Handle with fresh weights, and
the commonest class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from ladle_rt.datasets import Pair, read_pair
from ladle_rt.datasets.labels import CLASSES, UNSURE, label_path, read_labels
from ladle_rt.datasets.splits import subset
from ladle_rt.errors import DatasetError
from ladle_rt.evaluation.eval_model import SIZE, comparison_size
from ladle_rt.models.ladlenet import LadleNet
from ladle_rt.models.ladlenet_plus import LadleNetPlus
from ladle_rt.models.registry import build, config_from_dict
from ladle_rt.models.weights import load_model
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

COARSE = (SIZE[0] // 4, SIZE[1] // 4)
"""Height and width of the grid that is classified."""
TRAINED_ON = 120
"""At most so many labelled pairs, evenly spaced, fit the map."""
ITERATIONS = 60
DECAY = 1e-4
METRICS = ("accuracy", "mean_recall", "mean_iou")

Features = Callable[[Tensor], Tensor]
"""float [1,1,H,W] in [0,1] to [1,C,H/4,W/4]."""


class _Frame(NamedTuple):
    thermal: Tensor
    """float [1,1,H,W] in [0,1]."""
    labels: npt.NDArray[np.uint8]
    """[H/4,W/4]."""


def has_handle(architecture: str) -> bool:
    """Whether there is a Handle to be probed."""
    return architecture in ("ladlenet", "ladlenet-plus")


def probe_handle(
    path: Path, training: Sequence[Pair], validation: Sequence[Pair]
) -> tuple[list[Pair], dict[str, dict[str, list[float]]]]:
    """Fit the map on some pairs and score it on others.

    Args:
        path: a checkpoint (.safetensors) with a Handle.
        training: pairs; those without a label map are passed over.
        validation: the same.

    Returns:
        The pairs that were scored; by row (``arm`` first) and metric, one value for each: share of
        right pixels, mean recall and mean intersection over union of the classes that are there.

    Raises:
        DatasetError: no training pair has a label map.
        ModelError: a model that cannot be read.
    """
    network, info = load_model(path)
    fresh = build(info.architecture, config_from_dict(info.architecture, info.config)).eval()
    labelled = [pair for pair in training if label_path(pair).is_file()]
    if not labelled:
        raise DatasetError(
            "a probe needs training pairs with label maps (labels/ beside vi/), found none"
        )
    known = [_read(pair, info.thermal) for pair in subset(labelled, min(TRAINED_ON, len(labelled)))]
    read = [(p, _read(p, info.thermal)) for p in validation if label_path(p).is_file()]
    sure = [(pair, frame) for pair, frame in read if (frame.labels != UNSURE).any()]
    scored, asked = [pair for pair, _ in sure], [frame for _, frame in sure]
    rows: dict[str, dict[str, list[float]]] = {}
    for row, features in {
        "arm": _handle_output(network),
        "fresh Handle": _handle_output(fresh),
        "thermal value": _thermal_value,
    }.items():
        classify = _fit(features, known)
        rows[row] = _scores([(classify(frame.thermal), frame.labels) for frame in asked])
    counts = np.bincount(np.concatenate([f.labels.ravel() for f in known]), minlength=256)
    commonest = int(counts[:CLASSES].argmax())
    rows["commonest class"] = _scores(
        [(np.full_like(frame.labels, commonest), frame.labels) for frame in asked]
    )
    return scored, rows


def _read(pair: Pair, spec: ThermalNormalization) -> _Frame:
    counts, _ = read_pair(pair)
    labels = read_labels(pair, counts.shape)
    assert labels is not None
    thermal = np.ascontiguousarray(normalize(comparison_size(counts, SIZE), spec))
    coarse = cv2.resize(labels, COARSE[::-1], interpolation=cv2.INTER_NEAREST)
    return _Frame(torch.from_numpy(thermal)[None, None], coarse.astype(np.uint8, copy=False))


def _handle_output(network: nn.Module) -> Features:
    """What the Handle hands to the Bowl: LadleNet's image, the logits of a LadleNet+."""
    if isinstance(network, LadleNetPlus):
        plus = network
        return lambda thermal: _coarse(plus.logits_and_rgb(thermal)[0])
    assert isinstance(network, LadleNet)
    ladle = network

    def image(thermal: Tensor) -> Tensor:
        x = thermal.repeat(1, 3, 1, 1) if ladle.config.repeat_input else thermal
        return _coarse(ladle.handle_out(ladle.handle(ladle.fold(x)).levels[0]))

    return image


def _thermal_value(thermal: Tensor) -> Tensor:
    return _coarse(thermal)


def _coarse(x: Tensor) -> Tensor:
    return x if tuple(x.shape[-2:]) == COARSE else interpolate(x, COARSE, mode="area")


def _fit(features: Features, known: Sequence[_Frame]) -> Callable[[Tensor], npt.NDArray[np.uint8]]:
    with torch.no_grad():
        inputs = torch.cat([features(f.thermal)[0].flatten(1).T for f in known])
    labels = torch.from_numpy(np.concatenate([f.labels.ravel() for f in known])).long()
    sure = labels != UNSURE
    inputs, labels = inputs[sure], labels[sure]
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-6
    inputs = (inputs - mean) / spread
    linear = nn.Linear(inputs.shape[1], CLASSES)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(
        linear.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = cross_entropy(linear(inputs), labels) + DECAY * linear.weight.square().sum()
        torch.autograd.backward(loss)
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]

    def classify(thermal: Tensor) -> npt.NDArray[np.uint8]:
        with torch.no_grad():
            seen = features(thermal)[0]
            scores = linear((seen.flatten(1).T - mean) / spread)
            best: npt.NDArray[np.uint8] = scores.argmax(1).to(torch.uint8).numpy()
            return best.reshape(seen.shape[-2:])

    return classify


def _scores(
    pictures: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]],
) -> dict[str, list[float]]:
    rows = [_score(found, labels) for found, labels in pictures]
    return {metric: [row[number] for row in rows] for number, metric in enumerate(METRICS)}


def _score(
    found: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> tuple[float, float, float]:
    sure = labels != UNSURE
    found, labels = found[sure], labels[sure]
    recalls, overlaps = [], []
    for kind in np.unique(labels):
        mine, theirs = found == kind, labels == kind
        recalls.append((mine & theirs).sum() / theirs.sum())
        overlaps.append((mine & theirs).sum() / (mine | theirs).sum())
    return float((found == labels).mean()), float(np.mean(recalls)), float(np.mean(overlaps))

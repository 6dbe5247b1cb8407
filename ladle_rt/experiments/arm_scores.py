"""What one trained arm scores, frame by frame; kept beside its weights."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ladle_rt.datasets import Pair
from ladle_rt.datasets.labels import label_path
from ladle_rt.datasets.look import Look
from ladle_rt.documents import read_json
from ladle_rt.errors import DatasetError, InputError, MissingDependencyError
from ladle_rt.evaluation.comparison import PAINTED, RAW
from ladle_rt.evaluation.eval_model import SIZE, EvalModel
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.evaluate_video import SMOOTHED, evaluate_video
from ladle_rt.evaluation.open_models import open_models
from ladle_rt.evaluation.pair_images import grey_copy, read_pair_images
from ladle_rt.evaluation.perceptual_weights import open_perceptual_metric
from ladle_rt.evaluation.signatures import colour_at_edges, displacement_px, noisy
from ladle_rt.evaluation.video_pairs import find_video_pairs
from ladle_rt.experiments.arm_configs import ResolvedExperiment, digest
from ladle_rt.experiments.experiment_plan import ValidationSet
from ladle_rt.experiments.linear_probe import has_handle, probe_handle
from ladle_rt.files import write_text
from ladle_rt.models.artifact import ModelInfo, file_sha256
from ladle_rt.structure import structure
from ladle_rt.thermal.normalization import normalize
from ladle_rt.training.data_spec import DataSpec, select_pairs

logger = logging.getLogger("ladle_rt")

ARM = "arm"
"""The row that is the model; the others are trivial baselines."""
VIDEOS = "videos"
VIDEO_FRAMES = 150
"""So many frames of each video are measured."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """One picture of a set, or one video."""

    name: str
    drive: str


@dataclass(frozen=True, slots=True)
class SetScores:
    """Figures of one measure on one set."""

    name: str
    frames: tuple[ScoredFrame, ...]
    rows: dict[str, dict[str, tuple[float, ...]]]
    """By row and metric, one value for each frame."""


@dataclass(frozen=True, slots=True)
class ArmScores:
    """Everything that was measured on one model."""

    parameters: int
    macs: int
    sets: tuple[SetScores, ...]
    kid: dict[str, float] = field(default_factory=dict)
    """Kernel distance by set; rough below 50 pictures."""


def score_arm(
    model: str, resolved: ResolvedExperiment, data: Sequence[DataSpec], cache: Path
) -> ArmScores:
    """Measure a model, or read what was measured of the same weights in the same way.

    Args:
        model: a checkpoint, or the name of a shipped model.
        resolved: on what and by what.
        data: what it was trained on: the mean colour and the linear probe are made of it.
        cache: folder of results.

    Raises:
        DatasetError: pairs that cannot be used.
        ModelError: a model that cannot be used.
    """
    plan = resolved.plan
    (opened,) = open_models([model])
    asked = {
        "version": VERSION,
        "weights": file_sha256(opened.files[0]),
        "sets": [_facts(one) for one in resolved.validation],
        "measures": sorted(plan.measures),
        "look": plan.look,
        "data": [str({**asdict(spec), "path": spec.path.name}) for spec in data],
        "videos": [path.name for path in resolved.videos],
    }
    place = cache / f"scores-{digest(asked)}.json"
    if place.is_file():
        held = read_json(place, "scores of an arm", InputError)
        return structure(ArmScores, held, place.name, InputError)
    info = ModelInfo.from_json(opened.files[1].read_text(encoding="utf-8"), str(opened.files[1]))
    training = [pair for spec in data for pair in select_pairs(spec)]
    found: list[SetScores] = []
    kid: dict[str, float] = {}
    for one in resolved.validation:
        pairs = select_pairs(one.spec)
        if "pictures" in plan.measures:
            scores, distance = _pictures(opened, one, pairs, training, plan.look)
            found.append(scores)
            kid |= distance
        if "signatures" in plan.measures:
            found += _signatures(opened, one, pairs)
        if "probe" in plan.measures and has_handle(info.architecture):
            if not any(label_path(pair).is_file() for pair in pairs):
                logger.warning("%s: no label maps; the probe leaves it out", one.name)
                continue
            scored, rows = probe_handle(Path(model), training, pairs)
            found.append(SetScores(one.name, _frames(one, scored), _frozen(rows)))
    if "signatures" in plan.measures:
        found += _videos(opened, resolved.videos)
    result = ArmScores(info.parameters, info.macs, tuple(found), kid)
    cache.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result)) + "\n"
    write_text(place, text)
    return result


def _pictures(
    model: EvalModel,
    one: ValidationSet,
    pairs: Sequence[Pair],
    training: Sequence[Pair],
    look: Look,
) -> tuple[SetScores, dict[str, float]]:
    """Similarity to the truth, and what pictures are like by themselves."""
    try:
        perceptual = open_perceptual_metric()
    except MissingDependencyError as error:
        logger.warning("%s; perceptual distance and KID are left out", error)
        perceptual = None
    result = evaluate([model], pairs, training, look=look, perceptual_metric=perceptual)
    for failure in result.failures:
        logger.warning("%s", failure)
    report = result.reports[RAW if look == "none" else PAINTED]
    rows = {
        (ARM if row == report.first else row): {
            metric: [float(getattr(example.scores[row], metric)) for example in report.examples]
            for metric in report.metrics
        }
        for row in report.rows
    }
    frames = _frames(one, [example.pair for example in report.examples])
    distance = report.kernel_distances.get("all", {}) if report.has_perceptual else {}
    kid = {one.name: distance[report.first].value} if report.first in distance else {}
    return SetScores(one.name, frames, _frozen(rows)), kid


def _signatures(model: EvalModel, one: ValidationSet, pairs: Sequence[Pair]) -> list[SetScores]:
    """Failures that show in one picture; a picture that has nothing to say of one is left out."""
    found: dict[str, list[tuple[Pair, dict[str, float]]]] = {}
    for number, pair in enumerate(pairs):
        images = read_pair_images(pair)
        truth = images.truths["none"]
        thermal = normalize(images.thermal, model.thermal)
        seen = noisy(thermal, number)
        grey, grey_again = (grey_copy(plane) for plane in (thermal, seen))
        picture, again = (model.picture(plane, pair.name) for plane in (thermal, seen))
        measured: dict[str, dict[str, float | None]] = {
            "displacement_px": {
                ARM: displacement_px(picture, truth),
                "grey copy": displacement_px(grey, truth),
            },
            "colour_at_edges": {ARM: colour_at_edges(picture, truth)},
            "noise_change": {
                ARM: float(np.abs(again - picture).mean()) * 255,
                "grey copy": float(np.abs(grey_again - grey).mean()) * 255,
            },
        }
        for metric, values in measured.items():
            known = {row: value for row, value in values.items() if value is not None}
            if len(known) == len(values):
                found.setdefault(metric, []).append((pair, known))
    return [
        SetScores(
            one.name,
            _frames(one, [pair for pair, _ in kept]),
            _frozen({row: {metric: [known[row] for _, known in kept]} for row in kept[0][1]}),
        )
        for metric, kept in found.items()
    ]


def _videos(model: EvalModel, folders: Sequence[Path]) -> list[SetScores]:
    """Steadiness, with the thermal levels of the run time; a video is one frame of its set."""
    frames, rows = [], []
    for folder in folders:
        pairs = find_video_pairs(folder)
        if not pairs:
            raise DatasetError(
                f"{folder}: expected videos NAME_infrared and NAME_visible, found no pair"
            )
        for pair in pairs:
            report = evaluate_video([model], pair, VIDEO_FRAMES)
            frames.append(ScoredFrame(pair.name, pair.name))
            rows.append(
                {
                    row: {
                        "flicker": report.rows[name, SMOOTHED].flicker,
                        "warping_ratio": report.warping_ratio(name, SMOOTHED),
                    }
                    for row, name in ((ARM, model.name), ("grey copy", "grey copy"))
                }
            )
    if not rows:
        return []
    table = {
        row: {metric: [one[row][metric] for one in rows] for metric in rows[0][row]}
        for row in rows[0]
    }
    return [SetScores(VIDEOS, tuple(frames), _frozen(table))]


def _frames(one: ValidationSet, pairs: Iterable[Pair]) -> tuple[ScoredFrame, ...]:
    return tuple(ScoredFrame(pair.name, drive_of(one, pair)) for pair in pairs)


def drive_of(one: ValidationSet, pair: Pair) -> str:
    """Which drive a pair is of; one whose name does not say is of the dataset's."""
    found = re.search(one.drive, pair.name) if one.drive else None
    return found[1] if found else pair.sequence


def _frozen(
    rows: Mapping[str, Mapping[str, Sequence[Any]]],
) -> dict[str, dict[str, tuple[float, ...]]]:
    return {
        row: {
            metric: tuple(float(f"{value:.6g}") for value in values)
            for metric, values in found.items()
            if np.isfinite(np.asarray(values, float)).all()
        }
        for row, found in rows.items()
    }


def _facts(one: ValidationSet) -> dict[str, Any]:
    spec = {k: v for k, v in asdict(one.spec).items() if k not in ("terms", "weight")}
    return {
        "name": one.name,
        "drive": one.drive,
        "size": list(SIZE),
        "opencv": cv2.__version__,
        "spec": str({**spec, "path": one.spec.path.name}),
    }

"""What each part of the recipe daylight is worth: equal short runs that differ in one part.

    python benchmarks/ablation.py --data-root DATASETS --init MODEL.safetensors -o runs/ablation
        [--steps 300] [--batch 3] [--seeds 1 2] [--arms NAME ...] [--output results/ablation.json]

Each arm has the parts of the one before it and one more. All start from the same weights and are
judged on the recipe's own validation pairs, as painted against the truth in the look. An arm that
has been trained is not trained again. Short runs say which way a part pulls, not how far it goes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from helpers import write_result

from ladle_rt.evaluation.comparison import PAINTED
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.open_models import open_models
from ladle_rt.evaluation.perceptual_weights import open_perceptual_metric
from ladle_rt.training.loop import train
from ladle_rt.training.phases import Phase
from ladle_rt.training.resolve import resolve_config
from ladle_rt.training.samples import select_pairs
from ladle_rt.training.train_config import LossConfig, TrainConfig

FIRST_DATA = ("roadscene", "msrs", "m3fd", "flir-crops")
"""What the models of before 0.5 were trained on."""
METRICS = ("ms_ssim", "psnr_db", "sharpness_ratio", "contrast_ratio", "chroma_ratio", "perceptual")

Step = Callable[[TrainConfig, TrainConfig], TrainConfig]
"""Adds one part: takes the arm so far and the whole recipe."""


def _loss(*names: str) -> Step:
    def add(arm: TrainConfig, whole: TrainConfig) -> TrainConfig:
        values = {name: getattr(whole.loss, name) for name in names}
        return replace(arm, loss=replace(arm.loss, **values))

    return add


def _discriminator(arm: TrainConfig, whole: TrainConfig) -> TrainConfig:
    names = ("discriminator", "adversarial", "feature_matching")
    values = {name: getattr(whole.loss, name) for name in names}
    steps = arm.steps // 2, arm.steps // 10
    phases = (
        Phase("regression", steps[0]),
        Phase("discriminator", steps[1]),
        Phase("adversarial", arm.steps - sum(steps)),
    )
    return replace(arm, loss=replace(arm.loss, **values), phases=phases)


ARMS: dict[str, Step] = {
    "look": lambda arm, whole: replace(arm, look=whole.look),
    "perceptual": _loss("perceptual"),
    "discriminator": _discriminator,
    "moments": _loss("moments", "blurred"),
    "stability": _loss("stability"),
    "semantics": _loss("semantics"),
    "new data": lambda arm, whole: replace(arm, data=whole.data),
    "strong augmentation": lambda arm, whole: replace(arm, augment=whole.augment),
    "context channels": lambda arm, whole: replace(arm, preset=whole.preset),
    "histogram": _loss("histogram"),
}
"""Parts by name, in the order in which they are added."""


def arms(whole: TrainConfig, steps: int, batch: int) -> dict[str, TrainConfig]:
    """The runs by name; the first has the losses, data and network of before 0.5."""
    plain = LossConfig(alpha=whole.loss.alpha, ssim=whole.loss.ssim, chroma=whole.loss.chroma)
    arm = replace(
        whole,
        loss=plain,
        look="none",
        augment="standard",
        preset="compact",
        data=tuple(spec for spec in whole.data if spec.path.name in FIRST_DATA),
        phases=(),
        sizes=(),
        steps=steps,
        batch=batch,
        validate_every=steps,
        checkpoint_every=max(1, steps // 4),
    )
    found = {"as before": arm}
    for name, add in ARMS.items():
        found[f"+ {name}"] = arm = add(arm, whole)
    return found


def for_discriminator(model: Path, config: TrainConfig) -> dict[str, dict[str, float]]:
    """Figures of one model by validation set, as painted in the look."""
    (opened,) = open_models([str(model)])
    results = {}
    for spec in config.validation:
        pairs = select_pairs(spec)
        found = evaluate(
            [opened], pairs, look="daylight", perceptual_metric=open_perceptual_metric()
        )
        report = found.reports[PAINTED]
        scores = report.mean(report.first)
        results[spec.path.name] = {
            **{name: round(float(getattr(scores, name)), 4) for name in METRICS},
            "black_point": round(scores.black_point, 2),
            "kid": round(report.kernel_distances["all"][report.first].value, 4),
        }
    return results


def main() -> None:
    """Train what is missing, evaluate everything, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--arms", nargs="+", help="names without the plus; all of them")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    flags = {"init": arguments.init, "handle_weights": None}
    whole = resolve_config(None, "daylight", arguments.data_root, flags)
    results: dict[str, object] = {}
    for name, arm in arms(whole, arguments.steps, arguments.batch).items():
        if arguments.arms and name.removeprefix("+ ") not in arguments.arms:
            continue
        for seed in arguments.seeds:
            folder = arguments.out / f"{name.removeprefix('+ ').replace(' ', '-')}-{seed}"
            if not (folder / "last.safetensors").is_file():
                train(replace(arm, seed=seed, validation=()), folder, resume=True)
            results[f"{name}, seed {seed}"] = figures = for_discriminator(
                folder / "last.safetensors", whole
            )
            for place, values in figures.items():
                line = "  ".join(f"{metric} {value:.3f}" for metric, value in values.items())
                print(f"{name:24s} {seed}  {place:12s} {line}", flush=True)
    if arguments.output:
        settings = {"steps": arguments.steps, "batch": arguments.batch, "size": list(whole.crop)}
        write_result(arguments.output, "ablation", settings, results)


if __name__ == "__main__":
    main()

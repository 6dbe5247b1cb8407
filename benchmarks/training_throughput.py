"""Where a training's time goes: the data loader alone, the step alone, both together.

    python benchmarks/training_throughput.py --data-root DATASETS [--recipe compact] [--steps 40]
        [--workers 1] [--device auto] [--output benchmarks/results/training_throughput.json]

The loader is timed over the recipe's own samples, by every worker count asked for, once on a
cold start and once when each worker has read its share; the step on one batch again and again.
Training waits for data where the loader alone is slower than the step alone; the share that it
waited when both ran together stands beside that. Needs the train extra.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from helpers import Spread, write_result
from torch import Tensor

from ladle_rt.training.distributed import Processes, find_device
from ladle_rt.training.loader import load_batches
from ladle_rt.training.resolve import resolve_config
from ladle_rt.training.samples import MixedSamples
from ladle_rt.training.throughput import Meter
from ladle_rt.training.train_config import TrainConfig
from ladle_rt.training.training_run import Run

WARM_UP = 5
"""Steps before anything is timed."""


def loader_rates(batches: Iterator[tuple[Tensor, Tensor]], batch: int) -> list[float]:
    """Samples per second between one batch and the next."""
    rates = []
    last = time.perf_counter()
    for number, _ in enumerate(batches):
        now = time.perf_counter()
        if number >= WARM_UP:
            rates.append(batch / (now - last))
        last = now
    return rates


def overall_rate(rates: list[float]) -> float:
    """Samples per second over all of them: batches arrive in bursts, one from each worker."""
    return len(rates) / sum(1 / rate for rate in rates)


def step_rates(run: Run, steps: int) -> list[float]:
    """Samples per second of training steps on one batch that is at hand."""
    batch = run.config.batch
    samples = next(load_batches(run.samples, 0, 0, run.processes))
    rates = []
    for number in range(steps):
        start = time.perf_counter()
        run.advance(samples)
        if number >= WARM_UP:
            rates.append(batch / (time.perf_counter() - start))
    return rates


def together(run: Run, workers: int) -> Meter:
    """Train the run to its end without files."""
    meter = Meter()
    for batch in meter.waiting(load_batches(run.samples, run.step, workers, run.processes)):
        with meter.step(len(batch.thermal)):
            run.advance(batch)
    return meter


def started(config: TrainConfig, processes: Processes) -> Run:
    """A fresh run without validation."""
    run = Run(config, MixedSamples(config), processes)
    run.start()
    return run


def main() -> None:
    """Measure, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", default="compact")
    parser.add_argument("--data-root", type=Path, default=Path())
    parser.add_argument("--preset")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--precision")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    chosen = {name: getattr(arguments, name) for name in ("preset", "batch", "precision")}
    flags = {name: value for name, value in chosen.items() if value is not None}
    flags["steps"] = arguments.steps + WARM_UP
    config = resolve_config(None, arguments.recipe, arguments.data_root, flags)
    config = replace(config, validation=())
    processes = Processes(0, 1, find_device(arguments.device))

    step = Spread.of(step_rates(started(config, processes), config.steps))
    print(f"step alone                  {step.median:8.1f} samples/s")
    results: dict[str, object] = {"step_samples_per_s": step.to_list()}
    for workers in arguments.workers:
        samples = MixedSamples(config)
        rates = loader_rates(load_batches(samples, 0, workers, processes), config.batch)
        meter = together(started(config, processes), workers)
        results[f"{workers} workers"] = {
            "loader_samples_per_s": float(f"{overall_rate(rates):.4g}"),
            "together_samples_per_s": float(f"{meter.overall.samples_per_s:.4g}"),
            "data_wait": round(meter.overall.data_wait, 4),
        }
        print(
            f"{workers} workers: loader alone     {overall_rate(rates):8.1f} samples/s   together "
            f"{meter.overall.samples_per_s:8.1f}, waiting for data {meter.overall.data_wait:.1%}"
        )
    if arguments.output:
        settings = {
            "recipe": arguments.recipe,
            "network": f"{config.architecture} {config.preset}",
            "batch": config.batch,
            "crop": list(config.crop),
            "precision": config.precision,
            "device": str(processes.device),
            "steps": arguments.steps,
        }
        write_result(arguments.output, "training_throughput", settings, results)


if __name__ == "__main__":
    main()

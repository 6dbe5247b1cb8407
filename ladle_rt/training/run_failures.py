"""What ends a run early, each as one line: numbers that are not finite, memory that runs out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ladle_rt.errors import TrainingError
from ladle_rt.training.samples import MixedSamples
from ladle_rt.training.train_config import TrainConfig

NAMED = 16
"""At most so many samples of a bad batch are named."""
OVERFLOWS_IN_A_ROW = 20
"""fp16 steps whose gradients overflow one after the other before the run is given up.

Each halves the loss scale: from its start at 2**16 that leaves nothing to halve."""


def is_finite(values: Iterable[float]) -> bool:
    """Whether all of them are numbers."""
    return all(math.isfinite(value) for value in values)


def refuse_step(
    step: int, values: Mapping[str, float], samples: MixedSamples, batch: range
) -> TrainingError:
    """The error for a step whose loss or gradient is not finite.

    Args:
        step: the step that was not taken, counted from 1.
        values: loss, its terms and the gradient norm by name.
        samples: names the pairs.
        batch: the step's sample indices, over all processes.
    """
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    names = "; ".join(samples.describe(index) for index in batch[:NAMED])
    more = f"; and {len(batch) - NAMED} more samples" if len(batch) > NAMED else ""
    return TrainingError(
        f"step {step}: expected a finite loss and gradient, received {numbers}, "
        f"on {names}{more}; the last checkpoint is as it was: "
        "look at these pairs, or start again with a lower learning rate"
    )


def check_finite(weights: Mapping[str, Tensor]) -> None:
    """Refuse to keep weights that are not finite.

    Raises:
        TrainingError: names the first such tensor.
    """
    floats = {name: tensor for name, tensor in weights.items() if tensor.is_floating_point()}
    # One comparison for all: each tensor on its own would wait for the device.
    flags = torch.stack([torch.isfinite(tensor).all() for tensor in floats.values()]).tolist()
    for name, finite in zip(floats, flags, strict=True):
        if not finite:
            raise TrainingError(
                f"expected finite numbers in the weights, received others in {name}; nothing was "
                "written: resume from the last checkpoint or lower the learning rate"
            )


@contextmanager
def memory_hint(config: TrainConfig) -> Iterator[None]:
    """Turn running out of memory into one line that says what would need less.

    Raises:
        TrainingError: the device or the machine has no memory left.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # PyTorch's CPU allocator has no exception of its own.
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not known and "DefaultCPUAllocator" not in str(error):
            raise
        where = "GPU" if isinstance(error, torch.OutOfMemoryError) else "main"
        hints = [f"batch {config.batch // 2}"] if config.batch > 1 else []
        if config.precision == "fp32" and where == "GPU":
            hints.append("--precision bf16")
        raise TrainingError(
            f"out of {where} memory with batch {config.batch} of {config.crop[0]}x"
            f"{config.crop[1]} and preset {config.preset}; the last checkpoint is whole: "
            f"try {', '.join([*hints, 'a smaller preset'])}"
        ) from error

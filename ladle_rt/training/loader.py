"""Batches of a run, made ahead by worker processes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader

from ladle_rt.device import usable_cores
from ladle_rt.errors import LadleError, TrainingError
from ladle_rt.training.distributed import Processes
from ladle_rt.training.sample_tensors import Sample
from ladle_rt.training.samples import MixedSamples

PREFETCH = 4
"""Batches that each worker keeps ready: pairs differ in how long they take to read."""


def load_batches(
    samples: MixedSamples, start: int, workers: int, processes: Processes
) -> Iterator[Sample]:
    """This process's part of the batches from step ``start`` on, in the order the seed fixes.

    Args:
        samples: makes the samples; its ``steps`` ends the run.
        start: steps that have been taken.
        workers: worker processes, at most one a core; 0 loads here.
        processes: whose slice of each batch, and for which device.

    Yields:
        Samples with a first axis N, in page-locked memory where the device is a GPU.

    Raises:
        DatasetError, InputError: a pair cannot be used or read.
        TrainingError: a worker was killed.
    """
    workers = min(workers, _cores_a_process())
    loader = DataLoader(
        samples,
        batch_sampler=(
            list(processes.slice(samples.indices(step))) for step in range(start, samples.steps)
        ),
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=processes.device.type == "cuda",
        worker_init_fn=_single_threaded,
    )
    try:
        yield from loader
    except LadleError as error:
        # A worker's error arrives with its traceback as the message; the last line is ours.
        last = str(error).rstrip().rpartition("\n")[2]
        raise type(error)(re.sub(r"^ladle_rt(\.\w+)+: ", "", last)) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a data-loading process was killed, often for lack of memory ({workers} of them keep "
            "decoded pairs); try fewer --workers"
        ) from error


def _cores_a_process() -> int:
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _single_threaded(worker: int) -> None:
    # Ctrl-C and a service manager signal them too; the training process, which is asked to end
    # its step and to save, ends them.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

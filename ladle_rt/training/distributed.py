"""One run over several processes, as ``torchrun`` starts them.

Every process sees the same global batches and takes its slice of each; gradients, batch
statistics and logged values are averaged. The run is the one that a single process would make
of the same configuration, up to rounding and to the masks of dropout.
"""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ladle_rt.errors import ConfigError, LadleError, TrainingError
from ladle_rt.training.sync_norm import synchronise_norms

TIMEOUT = datetime.timedelta(minutes=30)
"""Longest wait for another process; the others wait while the first one validates."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run."""

    rank: int
    """0 is the one that writes, validates and reports."""
    count: int
    device: torch.device
    """What this process computes on."""

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def slice(self, batch: range) -> range:
        """The part of a global batch of sample indices that this process computes."""
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size]

    def mean(self, values: Tensor) -> Tensor:
        """Values averaged over the processes; to be called by all of them."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values

    def any(self, flag: bool) -> bool:
        """Whether it is set in one of the processes; to be called by all of them."""
        return float(self.mean(torch.tensor(float(flag), device=self.device))) > 0

    def share(self, value: Any) -> Any:
        """What the leading process holds, in all of them; to be called by all of them."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def parallel(self, model: nn.Module) -> nn.Module:
        """``model`` as it is called in training steps.

        With several processes its batch norms are exchanged in place for synchronised ones, its
        weights become the leading process's, and backward averages the gradients.
        """
        if self.count == 1:
            return model
        synchronise_norms(model, self.device)
        devices = [self.device] if self.device.type == "cuda" else None
        # Static: encoders may have parameters that no output needs.
        return DistributedDataParallel(model, device_ids=devices, static_graph=True)


def find_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device that a name stands for.

    Args:
        name: ``auto`` (CUDA where there is one, else the CPU), ``cpu``, ``cuda`` or ``cuda:1``.
        local_rank: number of this process on its machine; None where it is the only one.

    Raises:
        ConfigError: no such device here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdigit())):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, received {name!r}")
    if kind == "cpu":
        return torch.device("cpu")
    if number and local_rank is not None:
        raise ConfigError(
            f"with several processes each takes the GPU of its number, received {name}; give cuda"
        )
    index = int(number) if number else (local_rank or 0)
    if index >= count:
        raise ConfigError(
            f"expected a CUDA device {index}, found {count} of them; "
            "check the driver and torch.version.cuda, start fewer processes, or give --device cpu"
        )
    return torch.device("cuda", index)


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, or be the only one.

    The first process that fails says why; the others, which cannot go on without it, end with
    status 1 and without a word.

    Raises:
        ConfigError: no such device.
        TrainingError: another process ended without giving a reason.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "LOCAL_RANK" not in os.environ:
        found = find_device(device)
        if found.type == "cuda":
            torch.cuda.set_device(found)
        yield Processes(0, 1, found)
        return
    store, rank, count = next(iter(rendezvous("env://", timeout=TIMEOUT)))
    if rank:
        logging.getLogger("ladle_rt").setLevel(logging.ERROR)
    try:
        found = find_device(device, int(os.environ["LOCAL_RANK"]))
        if found.type == "cuda":
            torch.cuda.set_device(found)
        distributed.init_process_group(
            "nccl" if found.type == "cuda" else "gloo",
            store=PrefixStore("group", store),
            rank=rank,
            world_size=count,
            timeout=TIMEOUT,
            device_id=found if found.type == "cuda" else None,
        )
        yield Processes(rank, count, found)
    except BaseException as error:
        if not _first_to_fail(store):
            raise SystemExit(1) from None
        if _is_lost_connection(error):
            raise TrainingError(
                f"process {rank} of {count} lost another one, which gave no reason (killed, or "
                "its machine is gone); the last checkpoint is whole: start again with --resume"
            ) from error
        raise
    distributed.destroy_process_group()


def leads() -> bool:
    """Whether this process is the one that reports, by what ``torchrun`` set."""
    return os.environ.get("RANK", "0") == "0"


def check_batch(batch: int, processes: int) -> None:
    """Refuse a batch that the processes cannot share evenly.

    Raises:
        ConfigError: it is not a multiple of their number.
    """
    if batch % processes:
        raise ConfigError(
            f"batch is counted over all processes and must be divisible by their number, "
            f"received {batch} for {processes}; try {batch // processes * processes or processes}"
        )


def _first_to_fail(store: Store) -> bool:
    try:
        return int(store.add("failures", 1)) == 1
    except RuntimeError:
        # The store went with the process that kept it.
        return False


def _is_lost_connection(error: BaseException) -> bool:
    if isinstance(error, LadleError) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()

"""The TensorRT plan that translates a run's frames: found among those on disk, or built."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ladle_rt.cuda.nvml import driver_release
from ladle_rt.cuda.probe import CudaDevice, gpu_facts, target_of
from ladle_rt.cuda.tensorrt_edition import TensorRT, same_version
from ladle_rt.engines.plan.background import POLL_S, Notify, build_in_subprocess
from ladle_rt.engines.plan.cache import Entry, builds_under_way, list_plans
from ladle_rt.engines.plan.settings import settings_for, takes
from ladle_rt.errors import BackendError, InputError
from ladle_rt.geometry import size_range
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.network_size import Size

PRECISIONS = ("fp16", "int8", "fp32")
"""In this order where nothing was measured: INT8 is not faster on every card."""


def fitting_plan(
    folder: Path,
    artifact: ModelArtifact,
    device: CudaDevice,
    tensorrt: TensorRT,
    shapes: Sequence[Size],
) -> Entry | None:
    """The fastest plan of a model for a GPU that takes all shapes.

    Those with kernels for the first shape come first, then measured ones, then by precision; INT8
    comes last where TensorRT does not fuse it.
    Damaged plans and those of other models, versions and GPUs are passed over.

    Args:
        folder: where plans lie; may be missing.
        artifact: the model.
        device: the GPU.
        tensorrt: who will load the plan.
        shapes: heights and widths that the network may be given, the first most often.
    """
    driver = driver_release() or device.driver_version
    found: list[tuple[Entry, bool, bool, float, int]] = []
    for entry in _entries(folder):
        manifest = entry.manifest
        if entry.problem or manifest is None:
            continue
        made_from = manifest.model.get("derivation", {}).get("from_sha256", manifest.onnx_sha256)
        targets = manifest.device.get("targets")
        here = target_of(device) in targets if targets else manifest.device == gpu_facts(device)
        if (
            made_from == artifact.info.onnx_sha256
            and here
            and manifest.flavour == tensorrt.edition
            and same_version(manifest.version, tensorrt.version)
            and all(takes(manifest.profiles, shape) for shape in shapes)
        ):
            # What was measured under another driver may have changed with it.
            measured = manifest.latency_ms
            if measured is None or manifest.latency_driver != driver:
                measured = float("inf")
            other = all(list(best) != [1, 1, *shapes[0]] for _, best, _ in manifest.profiles)
            slow = manifest.precision == "int8" and not tensorrt.fuses_int8
            found.append((entry, other, slow, measured, PRECISIONS.index(manifest.precision)))
    return min(found, key=lambda item: item[1:])[0] if found else None


def obtain_plan(
    folder: Path,
    artifact: ModelArtifact,
    device: CudaDevice,
    tensorrt: TensorRT,
    shapes: Sequence[Size],
    notify: Notify,
    leave: threading.Event | None = None,
) -> Entry:
    """`fitting_plan`, or one that a process of its own builds now.

    Args:
        folder: see `fitting_plan`, as are the next four.
        artifact: see above.
        device: see above.
        tensorrt: see above.
        shapes: see above.
        notify: gets lines that say what is being built, and why.
        leave: once set, nobody waits any more; a build goes on, and the next run finds the plan.

    Raises:
        BackendError: no plan could be built, the one that was does not fit, or nobody waits.
    """
    entry = fitting_plan(folder, artifact, device, tensorrt, shapes)
    if entry is not None:
        return entry
    # Runs that are shorter than a build would each start one, that waits for the first.
    if builds_under_way(folder):
        notify(f"{folder}: a plan is being built there; waiting for it")
        while builds_under_way(folder):
            if leave is None:
                time.sleep(POLL_S)
            elif leave.wait(POLL_S):
                raise BackendError("another process goes on building a plan")
        entry = fitting_plan(folder, artifact, device, tensorrt, shapes)
        if entry is not None:
            return entry
    build_in_subprocess(
        artifact.onnx_path, folder, settings_for(artifact.info, shapes), notify, leave
    )
    entry = fitting_plan(folder, artifact, device, tensorrt, shapes)
    if entry is None:
        wanted = ", ".join(size_range(shape, shape) for shape in shapes)
        raise BackendError(
            f"{folder}: no plan there takes {wanted} on {device.name}, not even the one that was "
            "built now; run `ladle-rt engines list`"
        )
    return entry


def _entries(folder: Path) -> Iterator[Entry]:
    try:
        yield from list_plans(folder)
    except InputError:
        return

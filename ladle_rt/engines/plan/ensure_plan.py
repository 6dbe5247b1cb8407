"""A model in a precision to a plan in the folder: select a precision, find or build, measure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ladle_rt.config import Border
from ladle_rt.cuda.compile import cache_folder
from ladle_rt.cuda.nvml import driver_release
from ladle_rt.cuda.probe import CudaDevice, cuda_devices, gpu_facts, target_of
from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt
from ladle_rt.engines.calibration.calibration_set import MISSING
from ladle_rt.engines.plan.builder import Progress, build_plan
from ladle_rt.engines.plan.cache import TIMINGS, CachedPlan, get_or_build, write_manifest
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.engines.plan.measure import measure_plans
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.engines.select_precision import select_precision
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelArtifact

Precision = Literal["fp32", "fp16", "int8", "auto"]
WORTH_IT = 0.98
"""INT8 stays only if its time is below this share of FP16's: less is within the noise."""
NOT_FUSED = (
    "TensorRT-RTX {version} requantises in kernels of their own: INT8 is not faster than FP16 there"
)
Notify = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Which plan is wanted."""

    model: str | Path = DEFAULT_MODEL
    """Shipped name, ``.onnx`` or ``.safetensors``."""
    precision: Precision = "auto"
    calibration: Path | None = None
    """Folder of `ladle-rt calibrate`; INT8 needs it."""
    int8_base: Literal["fp32", "fp16"] = "fp16"
    """What INT8 leaves unquantised computes in."""
    border: Border = "float16"
    """Element type of an fp16 plan's input and output; the others' are float32."""
    folder: Path = Path("engines")
    """Where plans are kept."""
    settings: BuildSettings = field(default_factory=BuildSettings)
    log: Path | None = None
    """File for everything that TensorRT says."""

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.calibration is None:
            raise ConfigError(MISSING)


@dataclass(frozen=True, slots=True)
class EnsuredPlan:
    """The plan to use, and how it was come by."""

    plan: CachedPlan
    precision: str
    reason: str
    """Why this precision."""
    speed: str
    """What was measured on the device, or why nothing was."""


def ensure_plan(
    request: PlanRequest, notify: Notify, progress: Progress | None = None
) -> EnsuredPlan:
    """Find or build the plan that a request asks for.

    Args:
        request: model, precision and how to build.
        notify: gets one line about every decision.
        progress: told about the builder's steps.

    Raises:
        ConfigError: no GPU and no target, or settings that do not fit.
        MissingDependencyError: no TensorRT.
        BackendError: TensorRT cannot build the graph.
        OutputError: something cannot be written.
    """
    tensorrt = find_tensorrt("tensorrt-rtx" if request.settings.targets else None)
    devices = cuda_devices()
    settings = _with_targets(request.settings, tensorrt, devices)
    request = replace(request, settings=settings)
    graphs = request.folder / "graphs"
    slow = "" if tensorrt.fuses_int8 else NOT_FUSED.format(version=tensorrt.version)
    passed_over = bool(slow) and request.precision == "auto" and request.calibration is not None
    prepared = select_precision(
        request.model,
        "fp16" if passed_over else request.precision,
        request.calibration,
        graphs,
        notify,
        base=request.int8_base,
        border=request.border,
    )
    if passed_over:
        prepared = replace(prepared, reason=slow)
    elif slow and prepared.precision == "int8":
        notify(slow)
    plan = _obtain(request, prepared.artifact, tensorrt, devices, prepared.reason, notify, progress)
    at_hand = _device_at_hand(settings, devices)
    if at_hand is None:
        skipped = "not measured: the GPU that it was built for is not at hand"
        if slow and prepared.precision == "int8":
            skipped += f"; {slow}"
        return EnsuredPlan(plan, prepared.precision, prepared.reason, skipped)
    driver = driver_release() or at_hand.driver_version
    if prepared.precision != "int8":
        (plan,), busy = _measured([plan], tensorrt, driver)
        speed = busy or f"{plan.manifest.latency_ms:.3f} ms a frame on {at_hand.name}"
        return EnsuredPlan(plan, prepared.precision, prepared.reason, speed)
    other = select_precision(request.model, "fp16", None, graphs, notify, border=request.border)
    half = _obtain(request, other.artifact, tensorrt, devices, "to compare", notify, progress)
    (plan, half), busy = _measured([plan, half], tensorrt, driver)
    if busy:
        if request.precision == "int8":
            return EnsuredPlan(plan, "int8", prepared.reason, busy)
        return EnsuredPlan(half, "fp16", "INT8 has to be measured before it is chosen", busy)
    kept, why = faster(plan.manifest.latency_ms, half.manifest.latency_ms)
    speed = f"{why} on {at_hand.name}"
    if kept:
        return EnsuredPlan(plan, "int8", prepared.reason, speed)
    return EnsuredPlan(half, "fp16", f"INT8 is no faster here ({why})", speed)


def faster(int8_ms: float | None, fp16_ms: float | None) -> tuple[bool, str]:
    """Whether INT8 earns its place, and the figures in words."""
    assert int8_ms is not None and fp16_ms is not None, "both were measured"
    return int8_ms < WORTH_IT * fp16_ms, f"INT8 {int8_ms:.3f} ms, FP16 {fp16_ms:.3f} ms"


def wanted_manifest(
    artifact: ModelArtifact, settings: BuildSettings, tensorrt: TensorRT, device: dict[str, Any]
) -> PlanManifest:
    """What the manifest of such a plan says before it is built."""
    info = artifact.info
    settings = settings.for_model(info)
    return PlanManifest(
        model=info.facts(),
        onnx_sha256=info.onnx_sha256,
        precision=info.precision,
        flavour=tensorrt.edition,
        version=tensorrt.version,
        profiles=[[list(shape) for shape in profile] for profile in settings.profiles()],
        flags=settings.flags(),
        device=device,
        calibration_sha256=info.derivation.get("calibration_sha256"),
    )


def device_facts(settings: BuildSettings, devices: tuple[CudaDevice, ...]) -> dict[str, Any]:
    """What a manifest says about the device: the targets, or the first GPU."""
    if settings.targets:
        return {"targets": list(settings.targets)}
    return gpu_facts(devices[0])


def _with_targets(
    settings: BuildSettings, tensorrt: TensorRT, devices: tuple[CudaDevice, ...]
) -> BuildSettings:
    """Targets in order; with TensorRT-RTX the GPU at hand is one."""
    known = tensorrt.targets()
    if settings.targets:
        return replace(settings, targets=tuple(sorted(settings.targets, key=lambda t: int(t[2:]))))
    if not devices:
        where = "use a machine with one"
        if tensorrt.is_rtx:
            where = f"say which GPUs to build for with --target (of {', '.join(known)})"
        raise ConfigError(f"no NVIDIA GPU here and no --target: {where}")
    if not tensorrt.is_rtx:
        return settings
    here = target_of(devices[0])
    if here not in known:
        raise BackendError(
            f"{devices[0].name} is {here}, TensorRT-RTX {tensorrt.version} serves "
            f"{', '.join(known)}; run: pip install 'ladle-rt[tensorrt]'"
        )
    return replace(settings, targets=(here,))


def _device_at_hand(settings: BuildSettings, devices: tuple[CudaDevice, ...]) -> CudaDevice | None:
    """The GPU that can run the plan."""
    if not devices:
        return None
    here = target_of(devices[0])
    return devices[0] if not settings.targets or here in settings.targets else None


def _obtain(
    request: PlanRequest,
    artifact: ModelArtifact,
    tensorrt: TensorRT,
    devices: tuple[CudaDevice, ...],
    note: str,
    notify: Notify,
    progress: Progress | None,
) -> CachedPlan:
    settings = request.settings
    device = device_facts(settings, devices)
    wanted = replace(wanted_manifest(artifact, settings, tensorrt, device), note=note)
    return get_or_build(
        request.folder,
        wanted,
        tensorrt.label,
        lambda: build_plan(
            artifact, settings, tensorrt, progress, request.log, _timings(tensorrt, devices)
        ),
        notify,
    )


def _timings(tensorrt: TensorRT, devices: tuple[CudaDevice, ...]) -> Path | None:
    """Where kernel times are kept between builds, one file for each GPU, driver and version.

    ``None`` for TensorRT-RTX, which times nothing while it builds.
    """
    if tensorrt.is_rtx or not devices:
        return None
    name = re.sub(r"[^A-Za-z0-9]+", "-", devices[0].name).strip("-")
    driver = driver_release() or devices[0].driver_version
    return cache_folder() / f"{tensorrt.label}-{name}-{target_of(devices[0])}-{driver}{TIMINGS}"


def _measured(
    plans: list[CachedPlan], tensorrt: TensorRT, driver: str
) -> tuple[list[CachedPlan], str]:
    """With latency and layers in the manifests, and why nothing was timed.

    Measured once for each driver, and always together: times of different days do not compare.
    """
    if all(
        plan.manifest.latency_ms is not None and plan.manifest.latency_driver == driver
        for plan in plans
    ):
        return plans, ""
    found, busy = [], ""
    for plan, measured in zip(
        plans, measure_plans([plan.path for plan in plans], tensorrt), strict=True
    ):
        if measured.busy:
            busy = f"not measured: {measured.busy}; build again when it is idle"
        manifest = replace(
            plan.manifest,
            latency_ms=measured.latency_ms,
            latency_driver=driver,
            layers=[asdict(layer) for layer in measured.layers],
        )
        write_manifest(plan.path, manifest)
        found.append(replace(plan, manifest=manifest))
    return found, busy

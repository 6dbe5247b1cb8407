"""Which engine translates, and why; the one place that decides it.

    auto: tensorrt      a GPU, and TensorRT to build or load a plan
          torch         a GPU that torch can use, and the model's weights
          onnxruntime   always

A backend asked for by name is taken or refused, never replaced.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, gpu_facts, probe_cuda, target_of
from ladle_rt.cuda.select import open_gpu, require_binding
from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt, same_version
from ladle_rt.engines.plan.cache import Entry, inspect_plan, list_plans
from ladle_rt.engines.plan.settings import BuildSettings, takes
from ladle_rt.errors import BackendError, InputError, MissingDependencyError, require
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.select import PictureSpec, create_translator
from ladle_rt.translate.warm_start import WarmStartTranslator

__all__ = ["PictureSpec", "make_translator"]

logger = logging.getLogger("ladle_rt.engine")

Shapes = tuple[tuple[int, int], ...]
PRECISIONS = ("int8", "fp16", "fp32")
"""From the fastest to the slowest, where nothing was measured."""


def make_translator(
    artifact: ModelArtifact,
    options: TranslateOptions,
    picture: PictureSpec,
    shapes: Shapes = (),
) -> Translator:
    """Make the translator that the options ask for, or the best that this machine has.

    Args:
        artifact: the model.
        options: ``backend``, ``engines`` and ``warm_start`` decide here.
        picture: what the sink wants.
        shapes: heights and widths that the network will be given, the first at once; empty: the
            model's training size.

    Raises:
        BackendError: a backend was asked for by name, and this machine cannot run it.
        MissingDependencyError: the same, because something is not installed.
        ModelError: the model cannot be used.
    """
    if options.backend in ("onnxruntime", "openvino") or options.layout == "semantic":
        return create_translator(artifact, options, picture)
    try:
        device = probe_cuda()[0]
    except (CudaUnavailableError, IndexError) as error:
        reason = str(error) if isinstance(error, CudaUnavailableError) else "the driver shows none"
        return _without_gpu(artifact, options, picture, reason)
    shapes = shapes or (artifact.info.train_size,)
    if options.backend in ("torch", "torch-tensorrt"):
        return _torch(artifact, options, picture, shapes[0])
    try:
        require_binding(options.cuda)
        tensorrt = find_tensorrt()
    except (MissingDependencyError, BackendError) as error:
        if options.backend == "tensorrt":
            raise
        return _second_best(artifact, options, picture, shapes[0], str(error))

    def build() -> Translator:
        return _tensorrt(artifact, options, picture, device, tensorrt, shapes)

    if not options.warm_start:
        return build()
    return WarmStartTranslator(
        _second_best(artifact, options, picture, shapes[0], "until the TensorRT plan is ready"),
        build,
    )


def fitting_plan(
    folder: Path, artifact: ModelArtifact, device: CudaDevice, tensorrt: TensorRT, shapes: Shapes
) -> Entry | None:
    """The fastest plan of a model for a GPU that takes all shapes.

    Those with kernels for the first shape come first, then measured ones, then by precision.
    Damaged plans and those of other models, versions and GPUs are passed over.
    """
    found: list[tuple[Entry, bool, float, int]] = []
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
            measured = float("inf") if manifest.latency_ms is None else manifest.latency_ms
            other = all(list(best[2:]) != list(shapes[0]) for _, best, _ in manifest.profiles)
            found.append((entry, other, measured, PRECISIONS.index(manifest.precision)))
    return min(found, key=lambda item: item[1:])[0] if found else None


def _entries(folder: Path) -> Iterator[Entry]:
    try:
        yield from list_plans(folder)
    except InputError:
        return


def _tensorrt(
    artifact: ModelArtifact,
    options: TranslateOptions,
    picture: PictureSpec,
    device: CudaDevice,
    tensorrt: TensorRT,
    shapes: Shapes,
) -> Translator:
    entry = fitting_plan(options.engines, artifact, device, tensorrt, shapes)
    if entry is None:
        require("onnx", "engines")
        from ladle_rt.engines.plan.produce import Request, produce

        settings = BuildSettings()
        usual = settings.for_model(artifact.info).profiles()
        if not all(takes(usual, shape) for shape in shapes):
            settings = BuildSettings(sizes=shapes)
        request = Request(model=artifact.onnx_path, folder=options.engines, settings=settings)
        entry = inspect_plan(produce(request, logger.info).plan.path)
        if entry.problem:
            raise BackendError(f"{entry.path}: {entry.problem}")
    path = entry.path
    logger.info("tensorrt: %s", path.name)

    def open_engine(gpu: Gpu) -> EnqueueEngine:
        from ladle_rt.translate.cuda.tensorrt import TensorRtEngine

        try:
            plan = path.read_bytes()
        except OSError as error:
            raise BackendError(f"{path}: cannot be read ({error.strerror})") from error
        return TensorRtEngine(plan, tensorrt.edition)

    return _on_gpu(open_engine, artifact, options, picture)


def _torch(
    artifact: ModelArtifact, options: TranslateOptions, picture: PictureSpec, shape: tuple[int, int]
) -> Translator:
    require_binding(options.cuda)

    def open_engine(gpu: Gpu) -> EnqueueEngine:
        if options.backend == "torch-tensorrt":
            from ladle_rt.translate.torch_tensorrt import torch_tensorrt_engine

            return torch_tensorrt_engine(artifact, shape)
        from ladle_rt.translate.torch_backend import TorchEngine

        return TorchEngine(artifact)

    return _on_gpu(open_engine, artifact, options, picture)


def _on_gpu(
    open_engine: Callable[[Gpu], EnqueueEngine],
    artifact: ModelArtifact,
    options: TranslateOptions,
    picture: PictureSpec,
) -> Translator:
    from ladle_rt.translate.cuda.translator import GpuTranslator

    def open_device() -> Gpu:
        return open_gpu(options.cuda)

    return GpuTranslator(open_device, open_engine, artifact.info, options, picture)


def _without_gpu(
    artifact: ModelArtifact, options: TranslateOptions, picture: PictureSpec, reason: str
) -> Translator:
    if options.backend in ("tensorrt", "torch-tensorrt"):
        raise BackendError(
            f"--backend {options.backend} needs an NVIDIA GPU: {reason}; "
            "leave --backend out to translate on the CPU"
        )
    if options.backend == "torch":
        return create_translator(artifact, options, picture)
    return _on_cpu(artifact, options, picture, reason)


def _second_best(
    artifact: ModelArtifact,
    options: TranslateOptions,
    picture: PictureSpec,
    shape: tuple[int, int],
    reason: str,
) -> Translator:
    """torch on the GPU where it is at hand, else the CPU."""
    if options.backend == "auto" and importlib.util.find_spec("torch"):
        try:
            made = _torch(artifact, replace(options, backend="torch"), picture, shape)
        except (BackendError, MissingDependencyError) as error:
            reason = f"{reason}; torch: {error}"
        else:
            logger.info("%s: %s", made.name, reason)
            return made
    return _on_cpu(artifact, options, picture, reason)


def _on_cpu(
    artifact: ModelArtifact, options: TranslateOptions, picture: PictureSpec, reason: str
) -> Translator:
    made = create_translator(artifact, replace(options, backend="onnxruntime"), picture)
    logger.info("%s: %s", made.name, reason)
    return made

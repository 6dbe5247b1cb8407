"""From a model, settings and the size of the frames to the engine that translates them.

    auto: tensorrt      a GPU, and TensorRT with a plan for every size that the run may come to
          torch         a GPU that torch can use, and the model's weights
          onnxruntime   always

The sizes are known before anything is chosen or built. A backend asked for by name is taken or
refused, never replaced; under ``auto`` the CPU goes on where the GPU is lost in the middle.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ladle_rt import plugins
from ladle_rt.config import BACKENDS, Backend, Quality, RemoteOptions, TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.probe import (
    CudaDevice,
    CudaUnavailableError,
    NoCudaDriverError,
    probe_cuda,
)
from ladle_rt.cuda.select import open_gpu, require_binding
from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt
from ladle_rt.device import usable_cores
from ladle_rt.errors import BackendError, ConfigError, LadleError, MissingDependencyError
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.base import Translator
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.failover import FailoverTranslator
from ladle_rt.translate.gpu_selection import select_gpu
from ladle_rt.translate.network import Network, NetworkFactory, Output, RemoteFactory
from ladle_rt.translate.network_size import NetworkSize, Size
from ladle_rt.translate.shared_workers import SharedWorkers
from ladle_rt.translate.warm_start import WarmStartTranslator

logger = logging.getLogger("ladle_rt.engine")

FOR_ARRAYS = PictureSpec("rgb24", even=False)
"""Pictures for arrays and still images: of the frame's own size."""
FOR_VIDEO = PictureSpec("yuv420p", even=True)
"""Pictures for encoders."""


@dataclass(frozen=True, slots=True)
class TranslatorFactory:
    """Makes the engine for frames of a size; called with their height and width."""

    artifact: ModelArtifact
    """The model."""
    options: TranslateOptions
    """What the user chose."""
    usual: Quality
    """The quality where the user chose none."""
    picture: PictureSpec
    """What the pictures are for."""
    climbs: bool = False
    """Whether a latency budget moves the network's box."""
    shared: SharedWorkers | None = None
    """Workers and networks on the CPU that other translators use too; ``None``: its own."""

    @property
    def size(self) -> NetworkSize:
        """The box that the network works in, by the frame."""
        return NetworkSize(self.options, self.artifact.info, self.usual, self.climbs)

    def __call__(self, frame: Size) -> Translator:
        """Make an engine; the caller closes it.

        Raises:
            BackendError: a backend was asked for by name, and this machine cannot run it.
            MissingDependencyError: the same, because something is not installed.
            ModelError: the model cannot be used.
            ConfigError: a GPU was asked for by name, and this process uses another.
        """
        size = self.size
        return create_translator(
            self.artifact, size.settled(frame), self.picture, size.shapes(frame), self.shared
        )


def create_translator(
    artifact: ModelArtifact,
    options: TranslateOptions,
    picture: PictureSpec,
    shapes: tuple[Size, ...] = (),
    shared: SharedWorkers | None = None,
) -> Translator:
    """Make the translator that settled options ask for, or the best that this machine has.

    Args:
        artifact: the model.
        options: with ``size`` where it is not the model's own; ``quality`` is not looked at.
        picture: what the sink wants.
        shapes: heights and widths that the network may be given, the first at once; empty: those
            of a frame that fills the box.
        shared: what other translators on the CPU use too; ``threads`` is not looked at then.

    Raises:
        BackendError, MissingDependencyError, ModelError, ConfigError: see `TranslatorFactory`.
    """
    if not shapes:
        box = options.size or artifact.info.train_size
        shapes = (fit_letterbox(*box, box, artifact.info.size_multiple).padded,)
    return _Choice(artifact, options, picture, shapes, shared).make()


def load_network(
    artifact: ModelArtifact,
    backend: Backend = "auto",
    workers: int = 1,
    output: Output = "rgb",
    remote: RemoteOptions | None = None,
) -> Network:
    """Load a model into an engine that takes frames from the CPU, and check it.

    Args:
        artifact: the model.
        backend: ``auto`` is ONNX Runtime. OpenVINO runs the shipped fp32 network no faster and
            starts later; see ``benchmarks/results/video_cpu.json``.
        workers: threads that will run it.
        output: what the network's runners give.
        remote: the servers of a backend that has some.

    Raises:
        BackendError: no server answers.
        MissingDependencyError: the engine is not installed.
        ModelError: the graph is damaged, foreign, gives no picture or has no such output.
        ConfigError: an engine that has no CPU form, or a plug-in that cannot be loaded.
    """
    name = "onnxruntime" if backend == "auto" else backend
    own = BACKENDS.get(name)
    target = own.network if own else plugins.installed("ladle_rt.backends").get(name)
    if target is None:
        able = sorted(name for name, kind in BACKENDS.items() if kind.network and not kind.remote)
        raise ConfigError(f"{backend} runs on a GPU only; choose {', '.join(able)}")
    if own and own.remote:
        open_remote = cast(RemoteFactory, plugins.load(target))
        chosen = remote or RemoteOptions()
        return open_remote(artifact, workers=workers, output=output, remote=chosen)
    open_network = cast(NetworkFactory, plugins.load(target))
    return open_network(artifact, workers=workers, output=output)


def workers_for(backend: Backend, threads: int | None) -> int:
    """Frames on the CPU at a time.

    Args:
        backend: half of a server's workers wait for it while the others work.
        threads: what the user chose.
    """
    own = BACKENDS.get(backend)
    return threads or usable_cores() * (2 if own and own.remote else 1)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One call of `create_translator`."""

    artifact: ModelArtifact
    options: TranslateOptions
    picture: PictureSpec
    shapes: tuple[Size, ...]
    shared: SharedWorkers | None = None

    def make(self) -> Translator:
        backend = self.options.backend
        on_gpu = [name for name, kind in BACKENDS.items() if kind.on_gpu]
        if backend not in ("auto", *on_gpu) or self.options.layout == "semantic":
            return self._on_cpu(backend)
        try:
            device = self._find_gpu()
        except NoCudaDriverError as error:
            # No news to those who have never had a GPU.
            return self._without_gpu("no GPU" if backend == "auto" else str(error))
        except CudaUnavailableError as error:
            return self._without_gpu(str(error))
        if backend in ("torch", "torch-tensorrt"):
            return self._torch(backend)
        if backend == "tensorrt":
            require_binding(self.options.cuda)
            return self._tensorrt(device, find_tensorrt())
        return FailoverTranslator(self._best(device), self._on_cpu)

    def _best(self, device: CudaDevice) -> Translator:
        """What is fastest on this GPU; the CPU where nothing runs on it."""
        try:
            require_binding(self.options.cuda)
            tensorrt = find_tensorrt()
        except (MissingDependencyError, BackendError) as error:
            return self._second_best(str(error))
        if self.options.warm_start:
            return WarmStartTranslator(
                self._second_best("until the TensorRT plan is ready"),
                lambda leave: self._tensorrt(device, tensorrt, leave),
            )
        try:
            return self._tensorrt(device, tensorrt)
        except LadleError as error:
            return self._second_best(str(error))

    def _find_gpu(self) -> CudaDevice:
        """The first that this process sees.

        Raises:
            CudaUnavailableError: none, and none was asked for by name.
            BackendError: no such GPU.
        """
        wanted = self.options.gpu
        if wanted is not None:
            select_gpu(wanted)
        try:
            devices = probe_cuda()
            if not devices:
                raise CudaUnavailableError("the driver shows none")
        except CudaUnavailableError as error:
            if wanted is None:
                raise
            raise BackendError(
                f"gpu {wanted}: {error}; `nvidia-smi -L` lists the GPUs of this machine"
            ) from None
        return devices[0]

    def _without_gpu(self, reason: str) -> Translator:
        backend = self.options.backend
        if backend in ("tensorrt", "torch-tensorrt"):
            raise BackendError(
                f"--backend {backend} needs an NVIDIA GPU: {reason}; "
                "leave --backend out to translate on the CPU"
            )
        if backend == "torch":
            return self._on_cpu(backend)
        return self._announced(self._on_cpu(), reason)

    def _second_best(self, reason: str) -> Translator:
        """torch on the GPU where it is at hand, else the CPU."""
        if importlib.util.find_spec("torch"):
            try:
                return self._announced(self._torch("torch"), reason)
            except (LadleError, RuntimeError) as error:
                # torch has no errors of its own for a GPU that is full or too new for it.
                reason = f"{reason}; torch: {' '.join(str(error).split())}"
        return self._announced(self._on_cpu(), reason)

    def _announced(self, made: Translator, reason: str) -> Translator:
        logger.info("%s: %s", made.name, reason)
        return made

    def _on_cpu(self, backend: Backend = "onnxruntime") -> Translator:
        options = self.options
        shared = self.shared
        workers = workers_for(backend, options.threads) if shared is None else shared.workers
        output: Output = "classes" if options.layout == "semantic" else "rgb"

        def load() -> Network:
            return load_network(self.artifact, backend, workers, output, options.remote)

        if shared is None:
            return CpuTranslator(load(), self.artifact.info, options, self.picture, workers)
        network = shared.network((self.artifact.onnx_path, backend, output), load)
        return CpuTranslator(
            network, self.artifact.info, options, self.picture, workers, shared.lane()
        )

    def _tensorrt(
        self, device: CudaDevice, tensorrt: TensorRT, leave: threading.Event | None = None
    ) -> Translator:
        """Find or build the plan and open it.

        Args:
            leave: see `ladle_rt.translate.plans.obtain_plan`.
        """
        # Brings the builder, which no run without a GPU needs.
        from ladle_rt.translate.plans import obtain_plan

        folder, artifact = self.options.engines, self.artifact
        batch = 1 if self.shared is None else self.shared.batching.frames
        entry = obtain_plan(
            folder, artifact, device, tensorrt, self.shapes, logger.info, leave, batch
        )
        logger.info("tensorrt: %s", entry.path.name)

        def open_engine(gpu: Gpu) -> EnqueueEngine:
            from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine

            try:
                plan = entry.path.read_bytes()
            except OSError as error:
                raise BackendError(f"{entry.path}: cannot be read ({error.strerror})") from error
            return TensorRtEngine(plan, tensorrt.edition)

        return self._on_gpu(open_engine, entry.path)

    def _torch(self, backend: Backend) -> Translator:
        require_binding(self.options.cuda)
        if backend == "torch-tensorrt" and self._batches:
            raise ConfigError(
                "torch-tensorrt takes one frame at a time; set frames = 1 under [engine.batch], or "
                "take tensorrt or torch"
            )

        def open_engine(gpu: Gpu) -> EnqueueEngine:
            if backend == "torch-tensorrt":
                from ladle_rt.translate.torch_tensorrt_backend import torch_tensorrt_engine

                return torch_tensorrt_engine(self.artifact, self.shapes[0])
            from ladle_rt.translate.torch_backend import TorchEngine

            return TorchEngine(self.artifact)

        return self._on_gpu(open_engine, self.artifact.onnx_path)

    @property
    def _batches(self) -> bool:
        return self.shared is not None and self.shared.batching.frames > 1

    def _on_gpu(self, open_engine: Callable[[Gpu], EnqueueEngine], loaded: Path) -> Translator:
        """A translator on the GPU; with batches, one that shares its network.

        Args:
            open_engine: loads the network.
            loaded: the file that it is loaded from.
        """
        info, options, picture, shared = self.artifact.info, self.options, self.picture, self.shared

        def opened() -> Gpu:
            return open_gpu(options.cuda)

        if shared is None or not self._batches:
            from ladle_rt.translate.cuda.gpu_translator import GpuTranslator

            return GpuTranslator(opened, open_engine, info, options, picture)
        from ladle_rt.translate.cuda.gpu_network import GpuNetwork

        def load() -> Network:
            network = GpuNetwork(opened, open_engine)
            shared.at_end(network.close)
            return network

        network = shared.network(("gpu", loaded), load, takes_batches=True)
        return CpuTranslator(network, info, options, picture, shared.workers, shared.lane())

"""Translators of the GPU that ``gpu_check.py`` measures, and those of the CPU to compare with."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gpu_measure import SkippedError, noise_frames

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.config import CudaBinding, TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.select import open_gpu, require_binding
from ladle_rt.errors import MissingDependencyError
from ladle_rt.frames import TranslatedFrame
from ladle_rt.geometry import Letterbox, fit_letterbox
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.translate import PictureSpec, create_translator
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.frame_shapes import NetworkDtype
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.kernels import frame_cubin
from ladle_rt.translate.postprocess import PostProcessingTranslator
from ladle_rt.translate.torch_backend import TorchEngine

PICTURE = PictureSpec("yuv420p", True)
# With detail planes are used too. Engines on the CPU leave flicker suppression to others.
OPTIONS = TranslateOptions(detail="guided", warm_start=False, steady=0.0)
STEADY = {"steady": 1.0, "detail": "none", "drift_warning": False}
"""Flicker suppression, and the picture straight from the network's output."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What everything is measured with."""

    artifact: ModelArtifact
    options: TranslateOptions = OPTIONS
    shape: tuple[int, int] = (512, 640)
    """Height and width of the frames."""
    frames: int = 300
    compared: int = 12
    """Frames whose pictures are compared."""
    repeats: int = 50
    copy_bytes: int = 256 << 20
    open_gpu: Callable[[CudaBinding], Gpu] = open_gpu
    image: Callable[[tuple[int, int]], bytes] = frame_cubin
    """Compiled kernels for a compute capability."""

    @classmethod
    def of(cls, **changes: Any) -> Setup:
        """With the default model."""
        return cls(load_artifact(), **changes)

    @property
    def fit(self) -> Letterbox:
        """How the network is given the frames, in every part."""
        box = self.options.size or self.artifact.info.train_size
        return fit_letterbox(*self.shape, box, self.artifact.info.size_multiple)


class CopyEngine:
    """A network that shows its input in every channel: the frame kernels without torch."""

    name, capturable = "copy", True

    def __init__(self, network_dtype: NetworkDtype) -> None:
        self.network_dtype = network_dtype

    def supports(self, shape: tuple[int, int], frames: int = 1) -> bool:
        """See `EnqueueEngine.supports`."""
        return frames == 1

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        """See `EnqueueEngine.prepare`."""
        itemsize = np.dtype(self.network_dtype).itemsize
        self._gpu, self._bytes = gpu, itemsize * shape[0] * shape[1]

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """See `EnqueueEngine.enqueue`."""
        for channel in range(3):
            target = rgb_ptr + channel * self._bytes
            self._gpu.copy_on_device(target, thermal_ptr, self._bytes, stream)

    def close(self) -> None:
        """See `EnqueueEngine.close`."""


class CopyNetwork:
    """The same on the CPU."""

    name = "copy"

    def runner(self) -> Callable[[Any], Any]:
        """See `Network.runner`."""
        return lambda thermal: np.repeat(thermal, 3, axis=1)


@dataclass(frozen=True, slots=True)
class Translators:
    """Makes them; whoever asked closes them."""

    setup: Setup

    def copy(
        self,
        network_dtype: NetworkDtype = "float32",
        binding: CudaBinding = "bindings",
        **options: Any,
    ) -> Translator:
        """The ring with frame kernels alone."""
        return GpuTranslator(
            lambda: self.setup.open_gpu(binding),
            lambda gpu: CopyEngine(network_dtype),
            self.setup.artifact.info,
            replace(self.setup.options, **options),
            PICTURE,
            image=self.setup.image,
        )

    def pycuda(self) -> Translator:
        """The same by pycuda."""
        try:
            require_binding("pycuda")
        except MissingDependencyError as reason:
            raise SkippedError(str(reason)) from None
        return self.copy(binding="pycuda")

    def steady(self) -> Translator:
        """The same with flicker suppression."""
        return self.copy(**STEADY)

    def torch(self, dtype: str = "float16", graphs: bool = True) -> Translator:
        """The ring with torch as its network."""
        require_torch()
        artifact = self.setup.artifact
        return GpuTranslator(
            lambda: self.setup.open_gpu("bindings"),
            lambda gpu: TorchEngine(artifact, dtype=dtype, graphs=graphs),
            artifact.info,
            self.setup.options,
            PICTURE,
            image=self.setup.image,
        )

    def tensorrt(self) -> Translator:
        """The ring with a plan that is built here if none fits."""
        if not any(map(importlib.util.find_spec, ("tensorrt", "tensorrt_rtx"))):
            raise SkippedError("no TensorRT is installed")
        return self._chosen("tensorrt")

    def copy_on_cpu(self) -> Translator:
        """The reference of `copy`."""
        network, setup = CopyNetwork(), self.setup
        return CpuTranslator(network, setup.artifact.info, setup.options, PICTURE, 1)

    def steady_on_cpu(self) -> Translator:
        """The reference of `steady`."""
        info, options = self.setup.artifact.info, replace(self.setup.options, **STEADY)
        inner = CpuTranslator(CopyNetwork(), info, options, PICTURE, 1)
        return PostProcessingTranslator(inner, options, info.thermal)

    def network_on_cpu(self) -> Translator:
        """The reference of `torch` and `tensorrt`."""
        return self._chosen("onnxruntime")

    def pictures(self, make: Callable[[], Translator], dtype: str) -> list[TranslatedFrame]:
        """What a translator makes of the frames that all are compared on."""
        with make() as translator:
            return translate_all(
                translator, noise_frames(self.setup.compared, self.setup.shape, dtype)
            )

    def _chosen(self, backend: str) -> Translator:
        options = replace(self.setup.options, backend=backend)
        return create_translator(self.setup.artifact, options, PICTURE, (self.setup.fit.padded,))


def require_torch() -> None:
    """Skip a part where torch cannot use the GPU, as on a Jetson."""
    if importlib.util.find_spec("torch") is None:
        raise SkippedError("torch is not installed")
    import torch

    if not torch.cuda.is_available():
        raise SkippedError(f"torch {torch.__version__} cannot use this GPU")

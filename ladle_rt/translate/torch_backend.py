"""Networks in PyTorch (extra ``train``): on the CPU the reference, on CUDA an engine of the ring.

torch needs the weights, not the graph: the ``.safetensors`` beside the ``.onnx``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ladle_rt.errors import BackendError, ConfigError, ModelError, require
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.cuda.gpu import Gpu
from ladle_rt.translate.network import Array, Runner, check_output, engine_errors


def load_module(artifact: ModelArtifact) -> tuple[Any, Any]:
    """torch and the network in evaluation mode.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelError: no weights beside the graph, weights of another model, or a graph of lower
            precision, which torch has no weights for.
    """
    torch = require("torch", "train")
    require("safetensors", "train")
    if artifact.info.precision != "fp32":
        raise ModelError(
            f"{artifact.onnx_path}: torch runs the fp32 model that this {artifact.info.precision} "
            "graph was made from; name that one"
        )
    weights = artifact.onnx_path.with_suffix(".safetensors")
    if not weights.is_file():
        raise ModelError(
            f"{weights}: torch needs the weights beside the graph, found none; "
            "take --backend onnxruntime"
        )
    from ladle_rt.models.weights import load_model

    module, info = load_model(weights)
    if info.config != artifact.info.config or info.architecture != artifact.info.architecture:
        raise ModelError(f"{weights}: weights of another network than {artifact.onnx_path.name}")
    return torch, module


class TorchNetwork:
    """A module that all workers share, one thread per run, channels last.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelError: see `load_module`, or a network that gives no picture.
    """

    name = "torch"

    def __init__(self, artifact: ModelArtifact) -> None:
        self._torch, module = load_module(artifact)
        # One thread per frame, as with the other engines; see `CpuTranslator`.
        self._torch.set_num_threads(1)
        self._module = module.to(memory_format=self._torch.channels_last)
        check_output(artifact, self.runner())

    def runner(self) -> Runner:
        """A call of the shared module."""
        torch, module = self._torch, self._module

        def run(thermal: Array) -> Array:
            # Both are settings of the calling thread.
            with engine_errors(self.name, thermal), torch.inference_mode():
                frame = torch.from_numpy(thermal).to(memory_format=torch.channels_last)
                output: Array = np.ascontiguousarray(module(frame).numpy())
            return output

        return run


class TorchEngine:
    """An `EnqueueEngine` by torch in fp16 on the ring's stream and memory.

    torch shares the primary context with pycuda, so its tensors may wrap the ring's addresses.

    Args:
        artifact: fp32 model with its weights.
        compile_module: turns the module on the device into a faster one; see
            `ladle_rt.translate.torch_tensorrt`.
        only: the one height and width that the compiled module takes; ``None``: any.
        dtype: ``float16``, or ``float32`` to compare with.

    Raises:
        BackendError: torch cannot use the GPU.
        ModelError: see `load_module`.
    """

    capturable = True

    def __init__(
        self,
        artifact: ModelArtifact,
        compile_module: Any = None,
        dtype: str = "float16",
        only: tuple[int, int] | None = None,
    ) -> None:
        self._torch, module = load_module(artifact)
        torch = self._torch
        if not torch.cuda.is_available():
            raise BackendError(
                f"torch {torch.__version__} cannot use the GPU: no driver, one that is too old for "
                "it, or a build for the CPU; take --backend tensorrt or onnxruntime"
            )
        self.network_dtype = dtype
        self._dtype = getattr(torch, dtype)
        module = module.to(self._dtype).cuda().to(memory_format=torch.channels_last)
        self._module = compile_module(torch, module) if compile_module else module
        self._only, self._shape = only, (0, 0)
        self._views: dict[tuple[int, int], tuple[Any, Any]] = {}
        self.name = f"torch {torch.__version__} ({dtype})"

    def supports(self, shape: tuple[int, int]) -> bool:
        """See `EnqueueEngine.supports`."""
        return self._only in (None, shape)

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int) -> None:
        """Run once, so that torch chooses its kernels and fills its pool before a capture.

        Raises:
            ConfigError: another size than the module was compiled for.
        """
        if not self.supports(shape):
            raise ConfigError(
                "this module was compiled for {}x{} at the network, received {}x{}; use "
                "--backend torch for several sizes".format(*(self._only or ()), *shape)
            )
        torch = self._torch
        self._shape = shape
        self._views.clear()
        frame = torch.zeros((1, 1, *shape), dtype=self._dtype, device="cuda")
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(stream)):
            self._module(frame.contiguous(memory_format=torch.channels_last))
        gpu.synchronize_stream(stream)

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """See `EnqueueEngine.enqueue`."""
        torch = self._torch
        if (thermal_ptr, rgb_ptr) not in self._views:
            kind = {"float16": "<f2", "float32": "<f4"}[self.network_dtype]
            arrays = (
                _DeviceArray(thermal_ptr, (1, 1, *self._shape), kind),
                _DeviceArray(rgb_ptr, (1, 3, *self._shape), kind),
            )
            thermal, rgb = (torch.as_tensor(array, device="cuda") for array in arrays)
            self._views[thermal_ptr, rgb_ptr] = (thermal, rgb)
        thermal, rgb = self._views[thermal_ptr, rgb_ptr]
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(stream)):
            rgb.copy_(self._module(thermal))

    def close(self) -> None:
        """See `EnqueueEngine.close`."""
        self._views.clear()
        self._module = None
        self._torch.cuda.empty_cache()


class _DeviceArray:
    """Somebody else's device memory as torch understands it."""

    def __init__(self, pointer: int, shape: tuple[int, ...], kind: str) -> None:
        self.__cuda_array_interface__ = {
            "data": (pointer, False),
            "shape": shape,
            "typestr": kind,
            "version": 3,
        }

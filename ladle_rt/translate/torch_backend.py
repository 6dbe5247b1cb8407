"""Networks in PyTorch (extra ``train``): on the CPU the reference, on CUDA an engine of the ring.

torch needs the weights, not the graph: the ``.safetensors`` beside the ``.onnx``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ladle_rt.cuda.gpu import Gpu, gpu_error
from ladle_rt.errors import BackendError, ConfigError, ModelError, require
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.network import Array, Output, Runner, check_output, engine_errors

logger = logging.getLogger("ladle_rt")


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

    def __init__(self, artifact: ModelArtifact, workers: int = 1, output: Output = "rgb") -> None:
        if output != "rgb":
            raise ModelError("torch gives pictures only; take onnxruntime for the model's classes")
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

    torch shares the primary context with our bindings, so its tensors may wrap the ring's
    addresses. It records its CUDA graphs itself: in a capture that torch does not know of, its
    allocator would give the graph's memory to others while the graph lives.

    Args:
        artifact: fp32 model with its weights.
        compile_module: turns the module on the device into a faster one; see
            `ladle_rt.translate.torch_tensorrt_backend`.
        only: the one height and width that the compiled module takes; ``None``: any.
        dtype: ``float16``, or ``float32`` to compare with.
        graphs: record CUDA graphs, or run eagerly.

    Raises:
        BackendError: torch cannot use the GPU.
        ModelError: see `load_module`.
    """

    capturable = False

    def __init__(
        self,
        artifact: ModelArtifact,
        compile_module: Any = None,
        dtype: str = "float16",
        only: tuple[int, int] | None = None,
        graphs: bool = True,
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
        self._uses_graphs = graphs
        self._only, self._shape = only, (0, 0)
        self._runs: dict[tuple[int, int], Callable[[], object]] = {}
        """By the addresses of input and output; a graph's is its replay."""
        self.name = f"torch {torch.__version__} ({dtype})"

    def supports(self, shape: tuple[int, int]) -> bool:
        """See `EnqueueEngine.supports`."""
        return self._only in (None, shape)

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int) -> None:
        """Run once, so that torch chooses its kernels before a capture.

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
        self._runs.clear()
        frame = torch.zeros((1, 1, *shape), dtype=self._dtype, device="cuda")
        with self._on(stream):
            self._module(frame.contiguous(memory_format=torch.channels_last))
        gpu.synchronize_stream(stream)

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """See `EnqueueEngine.enqueue`."""
        with self._on(stream):
            run = self._runs.get((thermal_ptr, rgb_ptr))
            if run is None:
                run = self._runs[thermal_ptr, rgb_ptr] = self._record(thermal_ptr, rgb_ptr)
            run()

    def close(self) -> None:
        """See `EnqueueEngine.close`."""
        self._runs.clear()
        self._module = None
        self._torch.cuda.empty_cache()

    @contextlib.contextmanager
    def _on(self, stream: int) -> Iterator[None]:
        """Inference on a stream; torch's errors of the device (`RuntimeError`) as one line."""
        torch = self._torch
        try:
            with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(stream)):
                yield
        except RuntimeError as error:
            raise gpu_error(f"torch {torch.__version__}", error) from error

    def _record(self, thermal_ptr: int, rgb_ptr: int) -> Callable[[], object]:
        """A graph's replay for these addresses, or the module's call where none can be made."""
        torch = self._torch
        kind = {"float16": "<f2", "float32": "<f4"}[self.network_dtype]
        arrays = (
            _DeviceArray(thermal_ptr, (1, 1, *self._shape), kind),
            _DeviceArray(rgb_ptr, (1, 3, *self._shape), kind),
        )
        thermal, rgb = (torch.as_tensor(array, device="cuda") for array in arrays)

        def run() -> None:
            rgb.copy_(self._module(thermal))

        if not self._uses_graphs:
            return run
        run()
        graph = torch.cuda.CUDAGraph()
        try:
            # As the ring's: other threads may use the GPU meanwhile.
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                run()
            finally:
                graph.capture_end()
            # The driver uploads it at the first launch, and needs memory for that.
            graph.replay()
        except RuntimeError as error:
            self._uses_graphs = False
            words = " ".join(str(error).split())
            logger.warning("CUDA graphs are not used: torch: %s", words)
            return run
        replay: Callable[[], object] = graph.replay
        return replay


class _DeviceArray:
    """Somebody else's device memory as torch understands it."""

    def __init__(self, pointer: int, shape: tuple[int, ...], kind: str) -> None:
        self.__cuda_array_interface__ = {
            "data": (pointer, False),
            "shape": shape,
            "typestr": kind,
            "version": 3,
        }

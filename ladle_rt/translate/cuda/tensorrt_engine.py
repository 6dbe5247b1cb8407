"""A TensorRT plan on a CUDA stream, by the calls that 10.3 to 11.x and TensorRT-RTX share.

Whether a plan belongs to this model, version and GPU is for the caller to check before: here it
is only deserialised.
"""

from __future__ import annotations

from typing import Any

from ladle_rt.cuda.gpu import Gpu, gpu_error
from ladle_rt.cuda.probe import find_gpu
from ladle_rt.cuda.tensorrt_edition import TensorRtEdition, find_tensorrt
from ladle_rt.engines.plan.header import require_writer
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.geometry import size_range
from ladle_rt.models.artifact import INPUT_NAME, OUTPUT_NAME
from ladle_rt.translate.cuda.runtime_cache import RuntimeCache


class TensorRtEngine:
    """An `EnqueueEngine` over a plan. Made and used in the thread that owns the GPU.

    Args:
        plan: bytes of the plan, trusted.
        edition: which TensorRT built it.

    Raises:
        MissingDependencyError: that TensorRT is not installed.
        BackendError: no GPU, a plan of another TensorRT, or one that cannot be loaded here.
    """

    def __init__(self, plan: bytes, edition: TensorRtEdition) -> None:
        # A Runtime without a driver does not fail, it crashes the process.
        find_gpu()
        found = find_tensorrt(edition)
        require_writer(plan, edition, found.version)
        trt = found.module
        self._messages = _message_log(trt)
        self._label = f"{edition} {found.version}"
        self._gpu: Gpu | None = None
        self._scratch = 0
        self._stream = 0
        self._addresses = (0, 0)
        self._runtime = trt.Runtime(self._messages)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise BackendError(
                f"{self._label} cannot load this plan: {self._messages.last}; "
                "build it again with `ladle-rt build-engine`"
            )
        self._network_dtype = _check_interface(trt, self._engine)
        self._limits = _limits(self._engine)
        self._context, self._cache = _create_context(trt, self._engine, plan)
        if self._context is None:
            raise gpu_error("create_execution_context", self._messages.last)

    @property
    def name(self) -> str:
        """Edition, version and precision of the border: ``tensorrt 11.4.0 (float32)``."""
        return f"{self._label} ({self._network_dtype})"

    @property
    def network_dtype(self) -> str:
        """See `EnqueueEngine.network_dtype`."""
        return self._network_dtype

    @property
    def capturable(self) -> bool:
        """See `EnqueueEngine.capturable`."""
        context = self._context
        if hasattr(context, "is_stream_capturable"):
            return bool(context.is_stream_capturable(self._stream))
        return True

    def supports(self, shape: tuple[int, int], frames: int = 1) -> bool:
        """See `EnqueueEngine.supports`."""
        return any(_within((frames, *shape), low, high) for low, _, high in self._limits)

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        """See `EnqueueEngine.prepare`."""
        engine, context = self._engine, self._context
        profile = self._profile((frames, *shape))
        if self._gpu is None:
            self._gpu = gpu
            size = engine.device_memory_size_v2
            # Given by hand, or TensorRT-RTX would allocate while it runs.
            if size:
                self._scratch = gpu.allocate(size)
                context.set_device_memory(self._scratch, size)
        self._stream, self._addresses = stream, (0, 0)
        if not context.set_optimization_profile_async(profile, stream):
            raise self._refusal("set_optimization_profile_async")
        gpu.synchronize_stream(stream)
        if not context.set_input_shape(INPUT_NAME, (frames, 1, *shape)):
            raise self._refusal("set_input_shape")
        received = tuple(context.get_tensor_shape(OUTPUT_NAME))
        if received != (frames, 3, *shape):
            raise BackendError(
                f"{self._label}: expected an output of shape {(frames, 3, *shape)}, received "
                f"{received}; build the plan again from a model of ladle-rt"
            )

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """See `EnqueueEngine.enqueue`."""
        context = self._context
        if self._addresses != (thermal_ptr, rgb_ptr):
            for name, pointer in ((INPUT_NAME, thermal_ptr), (OUTPUT_NAME, rgb_ptr)):
                if not context.set_tensor_address(name, pointer):
                    raise self._refusal("set_tensor_address")
            self._addresses = (thermal_ptr, rgb_ptr)
        if not context.execute_async_v3(stream):
            raise self._refusal("execute_async_v3")

    def close(self) -> None:
        """See `EnqueueEngine.close`."""
        cache, self._cache = self._cache, None
        if cache is not None and self._gpu is not None:
            cache.save()
        # Contexts go before their engine, engines before their runtime.
        self._context = None
        self._engine = None
        self._runtime = None
        gpu, self._gpu = self._gpu, None
        if gpu is not None and self._scratch:
            gpu.free(self._scratch)

    def _profile(self, shape: tuple[int, int, int]) -> int:
        """The profile made for a number of frames of a size, else the first that holds them.

        Raises:
            ConfigError: none does.
        """
        limits = self._limits
        fitting = [
            index for index, (low, _, high) in enumerate(limits) if _within(shape, low, high)
        ]
        if not fitting:
            frames, height, width = shape
            size = f"{width}x{height}"
            if not any(_within(shape[1:], low[1:], high[1:]) for low, _, high in limits):
                known = ", ".join(size_range(low[1:], high[1:]) for low, _, high in limits)
                raise ConfigError(
                    f"this plan takes {known} at the network, received {size}; use another --size, "
                    f"or build one: ladle-rt build-engine --size {size}"
                )
            most = max(high[0] for _, _, high in limits)
            raise ConfigError(
                f"this plan takes up to {most} frames in one run, received {frames}; build one: "
                f"ladle-rt build-engine --size {size} --batch {frames}"
            )
        return min(fitting, key=lambda index: limits[index][1] != shape)

    def _refusal(self, call: str) -> BackendError:
        return gpu_error(f"{self._label}: {call}", self._messages.last)


def _limits(engine: Any) -> list[tuple[tuple[int, ...], ...]]:
    """Smallest, best and largest number of frames, height and width of each profile."""
    return [
        tuple(
            (dims[0], *tuple(dims)[2:])
            for dims in engine.get_tensor_profile_shape(INPUT_NAME, index)
        )
        for index in range(engine.num_optimization_profiles)
    ]


def _within(shape: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...]) -> bool:
    return all(a <= side <= b for a, side, b in zip(low, shape, high, strict=True))


def _check_interface(trt: Any, engine: Any) -> str:
    """Element type of a plan that has our input and output."""
    names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
    if names != {INPUT_NAME, OUTPUT_NAME}:
        raise BackendError(
            f"expected a plan from {INPUT_NAME!r} to {OUTPUT_NAME!r}, received "
            f"{', '.join(sorted(names)) or 'no tensors'}; build one with `ladle-rt build-engine`"
        )
    known = {trt.DataType.FLOAT: "float32", trt.DataType.HALF: "float16"}
    types = [engine.get_tensor_dtype(name) for name in (INPUT_NAME, OUTPUT_NAME)]
    if types[0] != types[1] or types[0] not in known:
        raise BackendError(
            f"expected a plan with float32 or float16 at both ends, received {types[0]} and "
            f"{types[1]}; build one with `ladle-rt build-engine`"
        )
    return known[types[0]]


def _create_context(trt: Any, engine: Any, plan: bytes) -> tuple[Any, RuntimeCache | None]:
    """An execution context, and the cache of TensorRT-RTX's kernels."""
    strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    if (
        hasattr(trt, "IRuntimeConfig")
        and hasattr(engine, "create_runtime_config")
        and hasattr(trt, "DynamicShapesKernelSpecializationStrategy")
    ):
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        # TensorRT-RTX compiles for the size at the first run, not beside later ones.
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        cache = RuntimeCache(config, plan) if hasattr(config, "create_runtime_cache") else None
        return engine.create_execution_context(config), cache
    return engine.create_execution_context(strategy), None


def _message_log(trt: Any) -> Any:
    class MessageLog(trt.ILogger):  # type: ignore[misc]
        """Keeps TensorRT's last complaint: its calls only say that they failed."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last = "no reason given"

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.last = " ".join(message.split())

    return MessageLog()

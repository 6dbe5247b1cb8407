"""`Gpu` by pycuda, and by cuda.bindings for the graphs that pycuda does not have.

Neither is imported before a GPU is asked for: pycuda's driver module does not load without
``libcuda``.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ladle_rt.errors import BackendError, require
from ladle_rt.translate.cuda.gpu import Bytes, gpu_error
from ladle_rt.translate.cuda.launch import Launch
from ladle_rt.translate.cuda.probe import find_gpu

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: torch and others may use the legacy stream beside us."""


class PycudaGpu:
    """The primary context of one GPU, current in the thread that makes this object.

    torch uses the same context, so that both can work on the same memory.

    Args:
        index: which of the GPUs that the driver shows.

    Raises:
        BackendError: no GPU, or it does not start.
        MissingDependencyError: pycuda or cuda.bindings is not installed.
    """

    def __init__(self, index: int = 0) -> None:
        device = find_gpu(index)
        self._cuda: Any = require("pycuda.driver", "cuda")
        self._bindings: Any = require("cuda.bindings.driver", "cuda")
        self._name, self._capability = device.name, device.compute_capability
        self._numbers = itertools.count(1)
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._memory: dict[int, Any] = {}
        self._graphs: dict[int, tuple[Any, Any]] = {}
        self._functions: dict[str, Any] = {}
        self._module: Any = None
        self._context: Any = None
        with self._calls("cuDevicePrimaryCtxRetain"):
            self._cuda.init()
            context = self._cuda.Device(index).retain_primary_context()
            context.push()
            self._context = context

    @property
    def name(self) -> str:
        """See `Gpu.name`."""
        return self._name

    @property
    def capability(self) -> tuple[int, int]:
        """See `Gpu.capability`."""
        return self._capability

    def memory_info(self) -> tuple[int, int]:
        """See `Gpu.memory_info`."""
        with self._calls("cuMemGetInfo"):
            free, total = self._cuda.mem_get_info()
        return int(free), int(total)

    def load_kernels(self, image: bytes) -> None:
        """See `Gpu.load_kernels`."""
        with self._calls("cuModuleLoadData"):
            self._module = self._cuda.module_from_buffer(image)
        self._functions.clear()

    def launch(self, launch: Launch, stream: int) -> None:
        """See `Gpu.launch`."""
        function = self._functions.get(launch.kernel)
        with self._calls(f"cuLaunchKernel({launch.kernel})"):
            if function is None:
                function = self._module.get_function(launch.kernel)
                function.prepare(launch.format)
                self._functions[launch.kernel] = function
            function.prepared_async_call(
                launch.grid, launch.block, self._streams[stream], *launch.values
            )

    def create_stream(self) -> int:
        """See `Gpu.create_stream`."""
        with self._calls("cuStreamCreate"):
            stream = self._cuda.Stream(_NON_BLOCKING)
        handle = int(stream.handle)
        self._streams[handle] = stream
        return handle

    def destroy_stream(self, stream: int) -> None:
        """See `Gpu.destroy_stream`."""
        del self._streams[stream]

    def synchronize_stream(self, stream: int) -> None:
        """See `Gpu.synchronize_stream`."""
        with self._calls("cuStreamSynchronize"):
            self._streams[stream].synchronize()

    def create_event(self, timing: bool = False) -> int:
        """See `Gpu.create_event`."""
        flags = self._cuda.event_flags.BLOCKING_SYNC
        if not timing:
            flags |= self._cuda.event_flags.DISABLE_TIMING
        with self._calls("cuEventCreate"):
            event = self._cuda.Event(flags)
        number = next(self._numbers)
        self._events[number] = event
        return number

    def destroy_event(self, event: int) -> None:
        """See `Gpu.destroy_event`."""
        del self._events[event]

    def record_event(self, event: int, stream: int) -> None:
        """See `Gpu.record_event`."""
        with self._calls("cuEventRecord"):
            self._events[event].record(self._streams[stream])

    def wait_event(self, stream: int, event: int) -> None:
        """See `Gpu.wait_event`."""
        with self._calls("cuStreamWaitEvent"):
            self._streams[stream].wait_for_event(self._events[event])

    def synchronize_event(self, event: int) -> None:
        """See `Gpu.synchronize_event`."""
        with self._calls("cuEventSynchronize"):
            self._events[event].synchronize()

    def query_event(self, event: int) -> bool:
        """See `Gpu.query_event`."""
        with self._calls("cuEventQuery"):
            return bool(self._events[event].query())

    def elapsed_ms(self, start: int, end: int) -> float:
        """See `Gpu.elapsed_ms`."""
        with self._calls("cuEventElapsedTime"):
            return float(self._events[start].time_till(self._events[end]))

    def allocate(self, size: int) -> int:
        """See `Gpu.allocate`."""
        with self._calls(f"cuMemAlloc({size} bytes)"):
            memory = self._cuda.mem_alloc(size)
        pointer = int(memory)
        self._memory[pointer] = memory
        try:
            with self._calls("cuMemsetD8"):
                self._cuda.memset_d8(pointer, 0, size)
                # The legacy stream did that, and our streams do not wait for it.
                self._cuda.Context.synchronize()
        except BackendError:
            del self._memory[pointer]
            raise
        return pointer

    def free(self, pointer: int) -> None:
        """See `Gpu.free`."""
        memory = self._memory.pop(pointer)
        with self._calls("cuMemFree"):
            memory.free()

    def allocate_pinned(self, size: int) -> Bytes:
        """See `Gpu.allocate_pinned`."""
        with self._calls(f"cuMemHostAlloc({size} bytes)"):
            array: Bytes = self._cuda.pagelocked_empty(size, np.uint8)
        return array

    def free_pinned(self, array: Bytes) -> None:
        """See `Gpu.free_pinned`."""
        allocation: Any = array.base
        with self._calls("cuMemFreeHost"):
            allocation.free()

    def copy_to_device(self, pointer: int, array: Bytes, stream: int) -> None:
        """See `Gpu.copy_to_device`."""
        with self._calls("cuMemcpyHtoDAsync"):
            self._cuda.memcpy_htod_async(pointer, array, self._streams[stream])

    def copy_to_host(self, array: Bytes, pointer: int, stream: int) -> None:
        """See `Gpu.copy_to_host`."""
        with self._calls("cuMemcpyDtoHAsync"):
            self._cuda.memcpy_dtoh_async(array, pointer, self._streams[stream])

    def begin_capture(self, stream: int) -> None:
        """See `Gpu.begin_capture`."""
        # Thread-local: what torch does in other threads meanwhile does not break the capture.
        mode = self._bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._graph_call("cuStreamBeginCapture", self._bindings.CUstream(stream), mode)

    def end_capture(self, stream: int) -> int:
        """See `Gpu.end_capture`."""
        graph = self._graph_call("cuStreamEndCapture", self._bindings.CUstream(stream))
        try:
            executable = self._graph_call("cuGraphInstantiate", graph, 0)
        except BackendError:
            self._bindings.cuGraphDestroy(graph)
            raise
        number = next(self._numbers)
        self._graphs[number] = (graph, executable)
        return number

    def launch_graph(self, graph: int, stream: int) -> None:
        """See `Gpu.launch_graph`."""
        self._graph_call("cuGraphLaunch", self._graphs[graph][1], self._bindings.CUstream(stream))

    def destroy_graph(self, graph: int) -> None:
        """See `Gpu.destroy_graph`."""
        template, executable = self._graphs.pop(graph)
        try:
            self._graph_call("cuGraphExecDestroy", executable)
        finally:
            self._graph_call("cuGraphDestroy", template)

    def close(self) -> None:
        """See `Gpu.close`."""
        context, self._context = self._context, None
        if context is None:
            return
        # The module goes while the context is current; a stack left full aborts the process.
        self._functions.clear()
        self._module = None
        with self._calls("cuCtxPopCurrent"):
            self._cuda.Context.pop()

    def _graph_call(self, function: str, *args: Any) -> Any:
        status, *values = getattr(self._bindings, function)(*args)
        if status != self._bindings.CUresult.CUDA_SUCCESS:
            raise gpu_error(function, f"{status.name} ({int(status)})")
        return values[0] if values else None

    @contextlib.contextmanager
    def _calls(self, call: str) -> Iterator[None]:
        """Turn what pycuda raises into one line."""
        try:
            yield
        except self._cuda.Error as error:
            raise gpu_error(call, error) from error

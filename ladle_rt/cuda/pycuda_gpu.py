"""`Gpu` by pycuda, and by cuda.bindings for the graphs that pycuda does not have.

Neither is imported before a GPU is asked for: pycuda's driver module does not load without
``libcuda``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ladle_rt.cuda.driver import Driver, GraphRecorder
from ladle_rt.cuda.gpu import NON_BLOCKING, Bytes, gpu_error
from ladle_rt.cuda.launch import Launch
from ladle_rt.cuda.probe import find_gpu
from ladle_rt.errors import BackendError, require


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
        self._cuda: Any = require("pycuda.driver", "pycuda")
        self._driver = Driver(device)
        self._graphs = GraphRecorder(self._driver)
        self._name, self._capability = device.name, device.compute_capability
        self._integrated = device.integrated
        self._numbers = itertools.count(1)
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._memory: dict[int, Any] = {}
        self._functions: dict[str, Any] = {}
        self._module: Any = None
        self._context: Any = None
        self._call("cuInit", self._cuda.init)
        self._context = self._call(
            "cuDevicePrimaryCtxRetain", self._cuda.Device(index).retain_primary_context
        )
        try:
            self._call("cuCtxPushCurrent", self._context.push)
        except BackendError:
            self._context = None
            raise
        try:
            self._memory_stream = self.create_stream()
        except BackendError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """See `Gpu.name`."""
        return self._name

    @property
    def capability(self) -> tuple[int, int]:
        """See `Gpu.capability`."""
        return self._capability

    @property
    def integrated(self) -> bool:
        """See `Gpu.integrated`."""
        return self._integrated

    def memory_info(self) -> tuple[int, int]:
        """See `Gpu.memory_info`."""
        free, total = self._call("cuMemGetInfo", self._cuda.mem_get_info)
        return int(free), int(total)

    def load_kernels(self, image: bytes) -> None:
        """See `Gpu.load_kernels`."""
        self._functions.clear()
        self._module = self._call("cuModuleLoadData", self._cuda.module_from_buffer, image)

    def launch(self, launch: Launch, stream: int) -> None:
        """See `Gpu.launch`."""
        if launch.kernel not in self._functions:
            self._functions[launch.kernel] = self._call(
                f"cuModuleGetFunction({launch.kernel})", self._module.get_function, launch.kernel
            )
            self._functions[launch.kernel].prepare(launch.format)
        self._call(
            f"cuLaunchKernel({launch.kernel})",
            self._functions[launch.kernel].prepared_async_call,
            launch.grid,
            launch.block,
            self._streams[stream],
            *launch.values,
        )

    def create_stream(self) -> int:
        """See `Gpu.create_stream`."""
        stream = self._call("cuStreamCreate", self._cuda.Stream, NON_BLOCKING)
        handle = int(stream.handle)
        self._streams[handle] = stream
        return handle

    def destroy_stream(self, stream: int) -> None:
        """See `Gpu.destroy_stream`."""
        del self._streams[stream]

    def synchronize_stream(self, stream: int) -> None:
        """See `Gpu.synchronize_stream`."""
        self._call("cuStreamSynchronize", self._streams[stream].synchronize)

    def create_event(self, timing: bool = False) -> int:
        """See `Gpu.create_event`."""
        flags = self._cuda.event_flags.BLOCKING_SYNC
        if not timing:
            flags |= self._cuda.event_flags.DISABLE_TIMING
        number = next(self._numbers)
        self._events[number] = self._call("cuEventCreate", self._cuda.Event, flags)
        return number

    def destroy_event(self, event: int) -> None:
        """See `Gpu.destroy_event`."""
        del self._events[event]

    def record_event(self, event: int, stream: int) -> None:
        """See `Gpu.record_event`."""
        self._call("cuEventRecord", self._events[event].record, self._streams[stream])

    def wait_event(self, stream: int, event: int) -> None:
        """See `Gpu.wait_event`."""
        self._call("cuStreamWaitEvent", self._streams[stream].wait_for_event, self._events[event])

    def synchronize_event(self, event: int) -> None:
        """See `Gpu.synchronize_event`."""
        self._call("cuEventSynchronize", self._events[event].synchronize)

    def elapsed_ms(self, start: int, end: int) -> float:
        """See `Gpu.elapsed_ms`."""
        time_till = self._events[start].time_till
        return float(self._call("cuEventElapsedTime", time_till, self._events[end]))

    def allocate(self, size: int) -> int:
        """See `Gpu.allocate`."""
        memory = self._call(f"cuMemAlloc({size} bytes)", self._cuda.mem_alloc, size)
        pointer = int(memory)
        self._memory[pointer] = memory
        del memory
        try:
            # No stream in a local: the traceback of a failure would keep it past its thread.
            self._call(
                "cuMemsetD8Async",
                self._cuda.memset_d8_async,
                pointer,
                0,
                size,
                self._streams[self._memory_stream],
            )
            self._call("cuStreamSynchronize", self._streams[self._memory_stream].synchronize)
        except BackendError:
            del self._memory[pointer]
            raise
        return pointer

    def free(self, pointer: int) -> None:
        """See `Gpu.free`."""
        self._call("cuMemFree", self._memory.pop(pointer).free)

    def allocate_pinned(self, size: int) -> Bytes:
        """See `Gpu.allocate_pinned`."""
        return self._host_memory(size, 0)

    def allocate_mapped(self, size: int) -> tuple[Bytes, int]:
        """See `Gpu.allocate_mapped`."""
        array = self._host_memory(size, self._cuda.host_alloc_flags.DEVICEMAP)
        allocation: Any = array.base
        try:
            pointer = self._call("cuMemHostGetDevicePointer", allocation.get_device_pointer)
        except BackendError:
            self.free_pinned(array)
            raise
        return array, int(pointer)

    def free_pinned(self, array: Bytes) -> None:
        """See `Gpu.free_pinned`."""
        allocation: Any = array.base
        self._call("cuMemFreeHost", allocation.free)

    def copy_to_device(self, pointer: int, array: Bytes, stream: int) -> None:
        """See `Gpu.copy_to_device`."""
        copy = self._cuda.memcpy_htod_async
        self._call("cuMemcpyHtoDAsync", copy, pointer, array, self._streams[stream])

    def copy_to_host(self, array: Bytes, pointer: int, stream: int) -> None:
        """See `Gpu.copy_to_host`."""
        copy = self._cuda.memcpy_dtoh_async
        self._call("cuMemcpyDtoHAsync", copy, array, pointer, self._streams[stream])

    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        """See `Gpu.copy_on_device`."""
        copy = self._cuda.memcpy_dtod_async
        self._call("cuMemcpyDtoDAsync", copy, target, source, size, self._streams[stream])

    def begin_capture(self, stream: int) -> None:
        """See `Gpu.begin_capture`."""
        self._graphs.begin(stream)

    def end_capture(self, stream: int) -> int:
        """See `Gpu.end_capture`."""
        return self._graphs.end(stream)

    def launch_graph(self, graph: int, stream: int) -> None:
        """See `Gpu.launch_graph`."""
        self._graphs.launch(graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """See `Gpu.destroy_graph`."""
        self._graphs.destroy(graph)

    def close(self) -> None:
        """See `Gpu.close`."""
        context, self._context = self._context, None
        if context is None:
            return
        # Module and stream go while the context is current.
        self._functions.clear()
        self._module = None
        self._streams.clear()
        try:
            self._driver.call("cuCtxPopCurrent")
        finally:
            # Takes it off pycuda's own stack too: left there it would abort the process.
            context.detach()

    def _host_memory(self, size: int, flags: int) -> Bytes:
        array: Bytes = self._call(
            f"cuMemHostAlloc({size} bytes)",
            self._cuda.pagelocked_empty,
            size,
            np.uint8,
            mem_flags=flags,
        )
        return array

    def _call(self, call: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call pycuda and turn what it raises into one line.

        The error keeps nothing of pycuda alive, neither as its cause nor in its traceback:
        objects that outlive their thread cannot be freed.
        """
        try:
            return function(*args, **named)
        except self._cuda.Error as error:
            failure = gpu_error(call, error)
        del function, args, named
        raise failure

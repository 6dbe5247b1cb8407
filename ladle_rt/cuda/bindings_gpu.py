"""`Gpu` by cuda.bindings: wheels alone, the default."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

import numpy as np

from ladle_rt.cuda.driver import Driver, GraphRecorder
from ladle_rt.cuda.gpu import NON_BLOCKING, Bytes
from ladle_rt.cuda.launch import Launch
from ladle_rt.cuda.probe import find_gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import BackendError


class BindingsGpu:
    """The primary context of one GPU, current in the thread that makes this object.

    torch uses the same context, so that both can work on the same memory.

    Args:
        index: which of the GPUs that the driver shows.

    Raises:
        BackendError: no GPU, it does not start, or cuda.bindings is newer than its driver.
        MissingDependencyError: cuda.bindings is not installed.
    """

    def __init__(self, index: int = 0) -> None:
        device = find_gpu(index)
        self._driver = Driver(device)
        self._name, self._capability = device.name, device.compute_capability
        self._integrated = device.integrated
        self._graphs = GraphRecorder(self._driver)
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._functions: dict[str, Any] = {}
        self._module: Any = None
        self._open = ResourceStack()
        """What `close` gives back."""
        call = self._driver.call
        call("cuInit", 0)
        device_handle = call("cuDeviceGet", index)
        try:
            context = call("cuDevicePrimaryCtxRetain", device_handle)
            self._open.callback(call, "cuDevicePrimaryCtxRelease", device_handle)
            call("cuCtxPushCurrent", context)
            self._open.callback(call, "cuCtxPopCurrent")
            self._memory_stream = self.create_stream()
            self._open.callback(self.destroy_stream, self._memory_stream)
        except BackendError:
            with contextlib.suppress(BackendError):
                self._open.close()
            raise
        self._open.callback(self._unload)

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
        free, total = self._driver.call("cuMemGetInfo")
        return int(free), int(total)

    def load_kernels(self, image: bytes) -> None:
        """See `Gpu.load_kernels`."""
        self._unload()
        self._module = self._driver.call("cuModuleLoadData", image)

    def launch(self, launch: Launch, stream: int) -> None:
        """See `Gpu.launch`."""
        kernel = launch.kernel
        if kernel not in self._functions:
            self._functions[kernel] = self._driver.call(
                "cuModuleGetFunction", self._module, kernel.encode(), about=kernel
            )
        self._driver.call(
            "cuLaunchKernel",
            self._functions[kernel],
            *launch.grid,
            *launch.block,
            0,
            self._streams[stream],
            (launch.values, launch.ctypes),
            0,
            about=kernel,
        )

    def create_stream(self) -> int:
        """See `Gpu.create_stream`."""
        stream = self._driver.call("cuStreamCreate", NON_BLOCKING)
        handle = self._driver.handle(stream)
        self._streams[handle] = stream
        return handle

    def destroy_stream(self, stream: int) -> None:
        """See `Gpu.destroy_stream`."""
        self._driver.call("cuStreamDestroy", self._streams.pop(stream))

    def synchronize_stream(self, stream: int) -> None:
        """See `Gpu.synchronize_stream`."""
        self._driver.call("cuStreamSynchronize", self._streams[stream])

    def create_event(self, timing: bool = False) -> int:
        """See `Gpu.create_event`."""
        flags = self._driver.api.CUevent_flags
        chosen = flags.CU_EVENT_BLOCKING_SYNC.value
        if not timing:
            chosen |= flags.CU_EVENT_DISABLE_TIMING.value
        event = self._driver.call("cuEventCreate", chosen)
        handle = self._driver.handle(event)
        self._events[handle] = event
        return handle

    def destroy_event(self, event: int) -> None:
        """See `Gpu.destroy_event`."""
        self._driver.call("cuEventDestroy", self._events.pop(event))

    def record_event(self, event: int, stream: int) -> None:
        """See `Gpu.record_event`."""
        self._driver.call("cuEventRecord", self._events[event], self._streams[stream])

    def wait_event(self, stream: int, event: int) -> None:
        """See `Gpu.wait_event`."""
        self._driver.call("cuStreamWaitEvent", self._streams[stream], self._events[event], 0)

    def synchronize_event(self, event: int) -> None:
        """See `Gpu.synchronize_event`."""
        self._driver.call("cuEventSynchronize", self._events[event])

    def elapsed_ms(self, start: int, end: int) -> float:
        """See `Gpu.elapsed_ms`."""
        return float(
            self._driver.call("cuEventElapsedTime", self._events[start], self._events[end])
        )

    def allocate(self, size: int) -> int:
        """See `Gpu.allocate`."""
        pointer = int(self._driver.call("cuMemAlloc", size, about=f"{size} bytes"))
        try:
            stream = self._streams[self._memory_stream]
            self._driver.call("cuMemsetD8Async", pointer, 0, size, stream)
            self._driver.call("cuStreamSynchronize", stream)
        except BackendError:
            with contextlib.suppress(BackendError):
                self.free(pointer)
            raise
        return pointer

    def free(self, pointer: int) -> None:
        """See `Gpu.free`."""
        self._driver.call("cuMemFree", pointer)

    def allocate_pinned(self, size: int) -> Bytes:
        """See `Gpu.allocate_pinned`."""
        return self._host_memory(size, 0)

    def allocate_mapped(self, size: int) -> tuple[Bytes, int]:
        """See `Gpu.allocate_mapped`."""
        array = self._host_memory(size, self._driver.api.CU_MEMHOSTALLOC_DEVICEMAP)
        try:
            pointer = self._driver.call("cuMemHostGetDevicePointer", array.ctypes.data, 0)
        except BackendError:
            with contextlib.suppress(BackendError):
                self.free_pinned(array)
            raise
        return array, int(pointer)

    def free_pinned(self, array: Bytes) -> None:
        """See `Gpu.free_pinned`."""
        self._driver.call("cuMemFreeHost", array.ctypes.data)

    def copy_to_device(self, pointer: int, array: Bytes, stream: int) -> None:
        """See `Gpu.copy_to_device`."""
        self._driver.call(
            "cuMemcpyHtoDAsync", pointer, array.ctypes.data, array.nbytes, self._streams[stream]
        )

    def copy_to_host(self, array: Bytes, pointer: int, stream: int) -> None:
        """See `Gpu.copy_to_host`."""
        self._driver.call(
            "cuMemcpyDtoHAsync", array.ctypes.data, pointer, array.nbytes, self._streams[stream]
        )

    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        """See `Gpu.copy_on_device`."""
        self._driver.call("cuMemcpyDtoDAsync", target, source, size, self._streams[stream])

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
        self._open.close()

    def _host_memory(self, size: int, flags: int) -> Bytes:
        address = self._driver.call("cuMemHostAlloc", size, flags, about=f"{size} bytes")
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def _unload(self) -> None:
        self._functions.clear()
        module, self._module = self._module, None
        if module is not None:
            self._driver.call("cuModuleUnload", module)

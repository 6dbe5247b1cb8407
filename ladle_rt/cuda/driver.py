"""The CUDA driver through ``cuda.bindings``, every status checked.

The bindings are wheels for every platform and follow the driver's own names. (cuda.core, the layer
above them, owns streams and memory as objects; here they are handles that TensorRT and torch
share, so it would only be unwrapped again.)
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from ladle_rt.cuda.compile import NEWEST_CUDA, OLDEST_CUDA, remedy
from ladle_rt.cuda.gpu import gpu_error
from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.errors import BackendError, MissingDependencyError, require


class Driver:
    """Functions of the driver by name.

    Args:
        device: whose driver it is.

    Raises:
        MissingDependencyError: cuda.bindings is not installed.
        BackendError: it is of a later CUDA than the driver.
    """

    def __init__(self, device: CudaDevice) -> None:
        check_bindings(device)
        extra = f"cuda{min(device.driver_major, NEWEST_CUDA)}"
        self.api: Any = require("cuda.bindings.driver", extra)
        self.handle: Callable[[Any], int] = require(
            "cuda.bindings.utils", extra
        ).get_cuda_native_handle
        """The number behind a stream or event of ``cuda.bindings``, for other libraries."""

    def call(self, function: str, *args: Any, about: str = "") -> Any:
        """Call a function; its one result, several as a tuple, or ``None``.

        Args:
            function: for example ``cuMemAlloc``.
            args: as ``cuda.bindings`` takes them.
            about: what tells this call from others in the error's line.

        Raises:
            BackendError: the status is not success, or this driver has no such function.
        """
        name = f"{function}({about})" if about else function
        try:
            status, *values = getattr(self.api, function)(*args)
        except RuntimeError as error:
            words = str(error).partition("\n")[0]
            raise BackendError(
                f"{name}: not in this driver ({words}); update the driver"
            ) from error
        if status != self.api.CUresult.CUDA_SUCCESS:
            raise gpu_error(name, f"{status.name} ({int(status)})")
        return values[0] if len(values) == 1 else tuple(values) or None


class GraphRecorder:
    """CUDA graphs by stream capture.

    Args:
        driver: of the thread's current context.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._graphs: dict[int, tuple[Any, Any]] = {}
        self._made = 0

    def begin(self, stream: int) -> None:
        """See `Gpu.begin_capture`."""
        api = self._driver.api
        # Thread-local: what other threads allocate meanwhile does not break the capture.
        mode = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._driver.call("cuStreamBeginCapture", api.CUstream(stream), mode)

    def end(self, stream: int) -> int:
        """See `Gpu.end_capture`."""
        api = self._driver.api
        graph = self._driver.call("cuStreamEndCapture", api.CUstream(stream))
        try:
            executable = self._driver.call("cuGraphInstantiate", graph, 0)
        except BackendError:
            api.cuGraphDestroy(graph)
            raise
        self._made += 1
        self._graphs[self._made] = (graph, executable)
        return self._made

    def launch(self, graph: int, stream: int) -> None:
        """See `Gpu.launch_graph`."""
        executable = self._graphs[graph][1]
        self._driver.call("cuGraphLaunch", executable, self._driver.api.CUstream(stream))

    def destroy(self, graph: int) -> None:
        """See `Gpu.destroy_graph`."""
        template, executable = self._graphs.pop(graph)
        try:
            self._driver.call("cuGraphExecDestroy", executable)
        finally:
            self._driver.call("cuGraphDestroy", template)


def check_bindings(device: CudaDevice | None = None) -> str:
    """The installed version of cuda.bindings.

    Args:
        device: whose driver it is to run on; ``None``: any.

    Raises:
        MissingDependencyError: it is not installed.
        BackendError: it is of a later CUDA than the driver.
    """
    served = device.driver_major if device else None
    try:
        version = metadata.version("cuda-bindings")
    except metadata.PackageNotFoundError:
        raise MissingDependencyError(
            f"cuda.bindings is needed to use the GPU and is not installed; {remedy(served)}"
        ) from None
    if device is not None and int(version.partition(".")[0]) > device.driver_major:
        other = " or update the driver" if device.driver_major >= OLDEST_CUDA else ""
        raise BackendError(
            f"cuda-bindings {version} is too new for a driver of CUDA {device.driver_version}; "
            f"{remedy(served)}{other}"
        )
    return version

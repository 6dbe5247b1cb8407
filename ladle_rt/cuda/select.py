"""Which binding of the CUDA driver is used."""

from __future__ import annotations

import importlib.util

from ladle_rt.config import CudaBinding
from ladle_rt.cuda.compile import remedy
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.probe import cuda_devices
from ladle_rt.errors import MissingDependencyError

MODULES: dict[CudaBinding, tuple[str, ...]] = {
    "bindings": ("cuda.bindings",),
    # pycuda has no graphs: those come from cuda.bindings.
    "pycuda": ("pycuda", "cuda.bindings"),
}


def open_gpu(binding: CudaBinding = "bindings", index: int = 0) -> Gpu:
    """A GPU of this machine, for the thread that calls.

    Args:
        binding: how the driver is called.
        index: which of the GPUs that the driver shows.

    Raises:
        BackendError: no GPU, it does not start, or an installed library is newer than its driver.
        MissingDependencyError: the binding is not installed.
    """
    if binding == "pycuda":
        from ladle_rt.cuda.pycuda_gpu import PycudaGpu

        return PycudaGpu(index)
    from ladle_rt.cuda.bindings_gpu import BindingsGpu

    return BindingsGpu(index)


def require_binding(binding: CudaBinding = "bindings") -> None:
    """Look whether a binding is installed, without importing it.

    Raises:
        MissingDependencyError: a part of it is not installed.
    """
    for module in MODULES[binding]:
        if not _installed(module):
            devices = cuda_devices()
            what = remedy(devices[0].driver_major if devices else None)
            if module == "pycuda":
                what = "run: pip install 'ladle-rt[pycuda]', or leave --cuda out"
            raise MissingDependencyError(
                f"{module} is needed to use the GPU and is not installed; {what}"
            )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

"""Which binding of the CUDA driver is used."""

from __future__ import annotations

import importlib.util

from ladle_rt.config import CudaBinding
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.probe import cuda_devices
from ladle_rt.errors import MissingDependencyError


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
    """Look whether a binding is installed and fits the driver, without importing it.

    Raises:
        MissingDependencyError: a part of it is not installed.
        BackendError: it is of a later CUDA than the driver.
    """
    from ladle_rt.cuda.driver import check_bindings

    devices = cuda_devices()
    # pycuda has no graphs: those come from cuda.bindings.
    check_bindings(devices[0] if devices else None)
    if binding == "pycuda" and importlib.util.find_spec("pycuda") is None:
        raise MissingDependencyError(
            "--cuda pycuda needs pycuda, which is not installed; run: pip install "
            "'ladle-rt[pycuda]', or leave --cuda out"
        )

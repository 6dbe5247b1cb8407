"""Is there a GPU to use, and if not, why not. Safe where nothing of CUDA is installed."""

from __future__ import annotations

from ladle_rt.device import CudaDevice, CudaUnavailableError, probe_cuda
from ladle_rt.errors import BackendError

WITHOUT = "install NVIDIA's driver, or leave --backend at auto to translate on the CPU"


def find_gpu(index: int = 0) -> CudaDevice:
    """A GPU of this machine; to be asked before any object of TensorRT or pycuda is made.

    Args:
        index: which of the GPUs that the driver shows.

    Raises:
        BackendError: no driver, a driver that does not start, or no such GPU; with the reason.
    """
    try:
        devices = probe_cuda()
    except CudaUnavailableError as error:
        raise BackendError(f"no GPU to translate on: {error}; {WITHOUT}") from None
    if not devices:
        raise BackendError(
            "no GPU to translate on: the CUDA driver shows none "
            f"(CUDA_VISIBLE_DEVICES may hide it); {WITHOUT}"
        )
    if not 0 <= index < len(devices):
        raise BackendError(
            f"expected a GPU number from 0 to {len(devices) - 1}, received {index}; "
            "choose one of them"
        )
    return devices[index]

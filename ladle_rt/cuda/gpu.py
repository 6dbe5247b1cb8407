"""What the runtime needs of CUDA, and nothing more: the seam to the real thing and to fakes.

Everything is plain numbers: streams, events and graphs are handles, device memory is an address.
So the same handle goes to pycuda, cuda.bindings, TensorRT and torch.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ladle_rt.cuda.launch import Launch
from ladle_rt.errors import BackendError

Bytes = npt.NDArray[np.uint8]

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: torch and others may use the legacy stream beside us."""

_HINTS = (
    (
        ("out of memory", "OUT_OF_MEMORY"),
        "use a smaller --size, or close what else uses the GPU",
    ),
    (
        ("no kernel image", "NO_BINARY_FOR_GPU", "invalid device kernel"),
        "delete the kernels in the cache folder so that they are compiled again",
    ),
    (
        ("UNSUPPORTED_PTX_VERSION", "INVALID_IMAGE", "DRIVER_MISMATCH", "device kernel image"),
        "update the driver, or delete the kernels in the cache folder",
    ),
    (
        ("STREAM_CAPTURE", "capturing"),
        "what cannot be recorded runs piece by piece",
    ),
    (
        ("already in use", "unavailable", "busy"),
        "another program holds the GPU; end it",
    ),
)
_LOST = "the GPU is lost to this program: start it again, and look for Xid in the system's log"


def gpu_error(call: str, status: object) -> BackendError:
    """One line about a call that failed.

    Args:
        call: of the CUDA driver or of a library above it, for example ``cuMemAlloc``.
        status: as CUDA or the library words it.
    """
    words = " ".join(str(status).split()) or "no message"
    for signs, hint in _HINTS:
        if any(sign in words for sign in signs):
            return BackendError(f"{call} failed on the GPU: {words}; {hint}")
    return BackendError(f"{call} failed on the GPU: {words}; {_LOST}")


class Gpu(Protocol):
    """One GPU, used from the thread that made it.

    Ownership: what is created or allocated here is destroyed or freed here, once, by whoever
    asked for it. Work on a stream runs in order; between streams only events give an order.

    Every method raises `BackendError` when CUDA refuses: the call, the status, what to do.
    """

    @property
    def name(self) -> str:
        """The device's own name."""

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability, for example ``(8, 6)``."""

    @property
    def integrated(self) -> bool:
        """Whether it works in the CPU's memory, as a Jetson's does."""

    def memory_info(self) -> tuple[int, int]:
        """Free and total device memory, bytes."""

    def load_kernels(self, image: bytes) -> None:
        """Make a compiled module the one that `launch` takes its kernels from."""

    def launch(self, launch: Launch, stream: int) -> None:
        """Enqueue one kernel."""

    def create_stream(self) -> int:
        """A stream that does not wait for the legacy default stream."""

    def destroy_stream(self, stream: int) -> None:
        """After its work is done."""

    def synchronize_stream(self, stream: int) -> None:
        """Wait until everything enqueued on it is done."""

    def create_event(self, timing: bool = False) -> int:
        """An event; with ``timing`` it can be given to `elapsed_ms`."""

    def destroy_event(self, event: int) -> None:
        """After nothing waits for it any more."""

    def record_event(self, event: int, stream: int) -> None:
        """Mark this place in the stream's work."""

    def wait_event(self, stream: int, event: int) -> None:
        """Let later work on the stream wait for the event's last recording."""

    def synchronize_event(self, event: int) -> None:
        """Wait, without using the CPU, until the last recording is reached."""

    def elapsed_ms(self, start: int, end: int) -> float:
        """Device time between two reached recordings of timing events."""

    def allocate(self, size: int) -> int:
        """Device memory of ``size`` bytes, zeroed, aligned to 256; never during a capture.

        It waits for its own stream alone: waiting for the whole device would break captures of
        other threads.
        """

    def free(self, pointer: int) -> None:
        """Give device memory back; no enqueued work may use it."""

    def allocate_pinned(self, size: int) -> Bytes:
        """Page-locked host memory, flat uint8; contents undefined."""

    def allocate_mapped(self, size: int) -> tuple[Bytes, int]:
        """`allocate_pinned` that kernels reach as well: the array, and its address for them.

        What kernels wrote is there for the CPU once an event after them is reached.
        """

    def free_pinned(self, array: Bytes) -> None:
        """Give page-locked memory back, by the very array that was given."""

    def copy_to_device(self, pointer: int, array: Bytes, stream: int) -> None:
        """Enqueue a copy of page-locked memory, which must stay as it is until it is done."""

    def copy_to_host(self, array: Bytes, pointer: int, stream: int) -> None:
        """Enqueue a copy into page-locked memory, valid once an event after it is reached."""

    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        """Enqueue a copy between two places of device memory, ``size`` in bytes."""

    def begin_capture(self, stream: int) -> None:
        """Record what is enqueued on the stream from now on instead of running it."""

    def end_capture(self, stream: int) -> int:
        """End the recording and make an executable graph of it."""

    def launch_graph(self, graph: int, stream: int) -> None:
        """Enqueue everything that the graph recorded."""

    def destroy_graph(self, graph: int) -> None:
        """After its last launch is done."""

    def close(self) -> None:
        """Leave the GPU to others; calling it twice is harmless."""

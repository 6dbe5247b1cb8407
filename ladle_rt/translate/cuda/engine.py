"""What the ring needs of a network on the GPU."""

from __future__ import annotations

from typing import Any, Protocol

from ladle_rt.cuda.gpu import Gpu


class EnqueueEngine(Protocol):
    """A network on the GPU. Used from the thread that owns the `Gpu`."""

    @property
    def name(self) -> str:
        """The engine and its precision, for logs."""

    @property
    def network_dtype(self) -> Any:
        """Element type of input and output: ``"float32"`` or ``"float16"``."""

    @property
    def capturable(self) -> bool:
        """Whether `enqueue` may be recorded into a CUDA graph; asked after `prepare`.

        An engine that records graphs of its own says no.
        """

    def supports(self, shape: tuple[int, int], frames: int = 1) -> bool:
        """Whether `prepare` may be asked for frames of a height and width; in any thread."""

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        """Get ready for inputs [N,1,H,W]; may allocate, and may wait for the stream.

        Args:
            shape: H and W.
            gpu: for memory; what an earlier `prepare` took is given back first.
            stream: that `enqueue` will use.
            frames: N, in one run.

        Raises:
            ConfigError: a size, or a number of frames, that the network cannot do; another one can
                be prepared.
            BackendError: the engine failed.
        """

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        """Enqueue one run; allocates nothing and waits for nothing.

        Only the first run with these addresses after a `prepare` may: the ring makes it before
        it records or takes frames.

        Args:
            thermal_ptr: [N,1,H,W] in device memory.
            rgb_ptr: [N,3,H,W] in device memory.
            stream: what orders it.

        Raises:
            BackendError: the engine refused.
        """

    def close(self) -> None:
        """Give everything back; calling it twice is harmless."""

"""Frames handed to a server on the same machine through shared memory (POSIX)."""

from __future__ import annotations

import contextlib
import weakref
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from ladle_rt.addresses import ServerAddress
from ladle_rt.translate.network import Array
from ladle_rt.translate.remote.server_client import Region, ServerClient, ServerError

FORGET_S = 2.0
"""To tell a server that a region is gone."""


class SharedFrames:
    """A region for the network's input and one for its output, which grow with the frames.

    The server knows them until this object is gone.
    """

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self._given: _Mapped | None = None
        self._target: _Mapped | None = None

    def infer(
        self, model: str, name: str, thermal: Array, output: str, channels: int
    ) -> tuple[list[int], Array]:
        """Run a model; see `ServerClient.infer`.

        Args:
            model: its name.
            name: of the input.
            thermal: float32 [N,1,H,W].
            output: name.
            channels: of the output.

        Returns:
            The output's shape and values; valid until the next call.

        Raises:
            ServerError: the server cannot see the memory, does not answer, or refuses.
        """
        count, _, height, width = thermal.shape
        shape = (count, channels, height, width)
        given = self._given = self._fitting(self._given, thermal.nbytes)
        target = self._target = self._fitting(self._target, 4 * int(np.prod(shape)))
        given.view(thermal.shape)[:] = thermal
        sides, _ = self._client.infer(
            model, (name, thermal.shape, given.region), output, target.region
        )
        return sides, target.view(shape)

    def _fitting(self, former: _Mapped | None, size: int) -> _Mapped:
        if former is not None and former.region.size >= size:
            return former
        return _Mapped(self._client, size)


class _Mapped:
    """Shared memory that a server knows; both forget it with this object."""

    def __init__(self, client: ServerClient, size: int) -> None:
        """
        Raises:
            ServerError: none can be made, or the server cannot see it.
        """
        try:
            memory = SharedMemory(create=True, size=size)
        except OSError as error:
            raise ServerError(f"no shared memory of {size} bytes: {error}", "LOCAL") from error
        self._memory = memory
        self.region = Region(f"ladle-rt-{memory.name.strip('/')}", size)
        self._end = weakref.finalize(self, _forget, client.address, self.region, memory)
        client.register(self.region, f"/{memory.name.strip('/')}")

    def view(self, shape: tuple[int, ...]) -> Array:
        return np.ndarray(shape, np.float32, self._memory.buf)


def _forget(address: ServerAddress, region: Region, memory: SharedMemory) -> None:
    # By a connection of its own: that of the frames may be broken, or another thread's.
    with contextlib.suppress(ServerError):
        client = ServerClient(address, FORGET_S)
        try:
            client.unregister(region)
        finally:
            client.close()
    memory.unlink()
    # Where a picture still looks into it, the memory goes with the picture.
    with contextlib.suppress(BufferError):
        memory.close()

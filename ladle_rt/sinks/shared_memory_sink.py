"""The newest pictures in POSIX shared memory, for other programs on the same machine.

    8 bytes: how many pictures were written, n (little-endian)
    4 bytes: slots; 4 bytes: bytes of a slot
    slots, one after another: 8 bytes sequence lock, header, pixels

Picture n - 1 lies in slot (n - 1) % slots. A slot's lock is odd while it is being written: a
reader copies the slot between two equal, even reads of it, or tries again (a seqlock). Both
sides need a memory barrier between any two steps: ARM reorders reads and writes alike.
"""

from __future__ import annotations

import struct
import threading
from multiprocessing import resource_tracker, shared_memory

from ladle_rt.errors import OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.picture_header import HEADER, describe

SLOTS = 4
START = struct.Struct("<QII")
WORD = 8


class SharedMemorySink:
    """A ring of the last `SLOTS` pictures; writing never waits for readers."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(self, name: str, context: SinkContext) -> None:
        """
        Args:
            name: of the memory, found under ``/dev/shm``.
            context: its sizes decide those of a slot; twice as wide for side by side.

        Raises:
            OutputError: the name is taken or cannot be used.
        """
        self._name = name
        pixels = (context.width + 1) * 2 * (context.height + 1) * 3 // 2
        # Locks stay aligned: only then are they read and written in one piece.
        self._slot = WORD * -(-(WORD + HEADER.size + pixels) // WORD)
        try:
            self._memory = shared_memory.SharedMemory(
                name, create=True, size=START.size + SLOTS * self._slot
            )
        except (OSError, ValueError) as error:
            raise OutputError(
                f"shm:{name}: cannot be made ({getattr(error, 'strerror', None) or error}); choose "
                f"another name, or remove /dev/shm/{name} if nobody uses it"
            ) from error
        self._fence = Fence()
        self._count = 0
        self._closed = False
        buffer = self._memory.buf
        assert buffer is not None
        START.pack_into(buffer, 0, 0, SLOTS, self._slot)

    def write(self, translated: TranslatedFrame) -> None:
        """Put one picture into the next slot.

        Raises:
            OutputError: it is larger than the slots were made for.
        """
        data = describe(translated) + translated.picture.data.tobytes()
        if WORD + len(data) > self._slot:
            picture = translated.picture
            raise OutputError(
                f"shm:{self._name}: a picture of {picture.width}x{picture.height} is larger than "
                "the first ones; start again"
            )
        buffer = self._memory.buf
        assert buffer is not None
        at = START.size + self._count % SLOTS * self._slot
        lock = 2 * (self._count // SLOTS)
        _store(buffer, at, lock + 1)
        self._fence()
        buffer[at + WORD : at + WORD + len(data)] = data
        self._fence()
        _store(buffer, at, lock + 2)
        self._fence()
        self._count += 1
        _store(buffer, 0, self._count)

    def close(self) -> None:
        """Remove the name; readers that have it open keep what they have."""
        if not self._closed:
            self._closed = True
            self._memory.close()
            self._memory.unlink()

    def abort(self) -> None:
        """The same."""
        self.close()


def read_newest(name: str) -> tuple[bytes, bytes] | None:
    """The newest picture, as another program would read it.

    Returns:
        Header and pixels; ``None`` before the first picture.
    """
    memory = shared_memory.SharedMemory(name)
    # A reader must not remove what it only looked at.
    resource_tracker.unregister(memory._name, "shared_memory")  # type: ignore[attr-defined]
    buffer = memory.buf
    assert buffer is not None
    fence = Fence()
    try:
        while True:
            _, slots, size = START.unpack_from(buffer, 0)
            count = _load(buffer, 0)
            if count == 0:
                return None
            at = START.size + (count - 1) % slots * size
            fence()
            before = _load(buffer, at)
            fence()
            slot = bytes(buffer[at + WORD : at + size])
            fence()
            after = _load(buffer, at)
            if before == after and before % 2 == 0:
                header, length = slot[: HEADER.size], HEADER.unpack_from(slot)[5]
                return header, slot[HEADER.size : HEADER.size + length]
    finally:
        del buffer
        memory.close()


class Fence:
    """A memory barrier for one thread: nobody sees what comes after it before what came before.

    Python has none of its own, but a lock's release keeps what comes before it, its acquisition
    keeps what comes after it, and ARMv8 keeps an acquisition behind an earlier release (the
    "barrier-ordered-before" relation of its manual, DDI 0487, B2.3). On x86 the lock's own
    instructions are full barriers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()


def _store(buffer: memoryview, at: int, value: int) -> None:
    """Write 8 aligned bytes in one piece; `struct` writes them one by one, after zeros."""
    buffer[at : at + WORD].cast("Q")[0] = value


def _load(buffer: memoryview, at: int) -> int:
    """Read 8 aligned bytes in one piece."""
    value: int = buffer[at : at + WORD].cast("Q")[0]
    return value

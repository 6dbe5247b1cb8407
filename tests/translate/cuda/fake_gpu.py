"""A GPU that records every call, runs streams in any order they allow, and fails on request."""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ladle_rt.cuda.gpu import Bytes, Gpu, gpu_error
from ladle_rt.cuda.launch import Launch
from ladle_rt.engines.plan.settings import takes
from ladle_rt.errors import ConfigError
from ladle_rt.translate.cuda.frame_memory import ALIGNMENT

GUARD = 0xA5
POISON = 0xDB


@dataclass
class _Event:
    recorded: int = 0
    reached: int = 0


@dataclass
class _Wait:
    event: _Event
    turn: int


@dataclass
class _Work:
    label: str
    run: Callable[[], None]


@dataclass
class _Memory:
    """Device memory with guards on both sides."""

    size: int
    everything: Bytes = field(init=False)
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.everything = np.full(self.size + 3 * ALIGNMENT, GUARD, np.uint8)
        self.start = ALIGNMENT + -self.everything.ctypes.data % ALIGNMENT
        self.bytes[:] = 0

    @property
    def bytes(self) -> Bytes:
        return self.everything[self.start : self.start + self.size]

    @property
    def whole(self) -> bool:
        end = self.start + self.size
        outside = self.everything[: self.start], self.everything[end:]
        return all(bool((guard == GUARD).all()) for guard in outside)


class FakeGpu:
    """`Gpu` on the host: work waits in its stream until somebody has to wait for it.

    Then streams advance in an order drawn by ``seed``, as far as events allow: what no event
    orders happens in the wrong order sooner or later.

    Args:
        launch: runs a kernel; without, kernels do nothing.
        seed: of the order of streams.
        fail_at: name of the call that fails and which one of that name, from 0. (Not its number
            among all calls: that depends on which thread is faster.)
        lost: every later call fails too.
        integrated: it works in the host's memory.
        status: of the call that fails.
    """

    name = "Fake"
    capability = (8, 6)

    def __init__(
        self,
        launch: Callable[[Launch], None] | None = None,
        *,
        seed: int = 0,
        fail_at: tuple[str, int] | None = None,
        lost: bool = False,
        integrated: bool = False,
        status: str = "injected",
    ) -> None:
        self.calls: list[str] = []
        self.done: list[str] = []
        """Labels of work in the order in which it ran."""
        self.live: dict[str, set[int]] = {kind: set() for kind in _KINDS}
        self.violations: list[str] = []
        self.integrated, self._status = integrated, status
        self.failed = ""
        """The call that failed."""
        self._launch, self._fail_at, self._lost = launch, fail_at, lost
        self._random = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._thread = 0
        self._next = 1
        self._streams: dict[int, deque[_Event | _Wait | _Work]] = {}
        self._events: dict[int, _Event] = {}
        self._memory: dict[int, _Memory] = {}
        self._pinned: dict[int, Bytes] = {}
        self._mapped: dict[int, int] = {}
        """Addresses for kernels, by pinned array."""
        self._graphs: dict[int, list[_Work]] = {}
        self._loaded: set[str] = set()
        self._capture: tuple[int, list[_Work]] | None = None
        self.closed = True

    def open(self) -> FakeGpu:
        """What makes it the calling thread's."""
        self._thread = threading.get_ident()
        self.call("open")
        self.closed = False
        return self

    # The interface -----------------------------------------------------------------------------

    def memory_info(self) -> tuple[int, int]:
        self.call("memory_info")
        return 1 << 30, 1 << 31

    def load_kernels(self, image: bytes) -> None:
        self.call("load_kernels")

    def launch(self, launch: Launch, stream: int) -> None:
        self.call(f"launch {launch.kernel}")
        self._hold(
            self._capture is None or launch.kernel in self._loaded,
            f"{launch.kernel} is loaded during a capture",
        )
        self._loaded.add(launch.kernel)
        pointers = [int(arg.value) for arg in launch.args if arg.kind == "P" and arg.value]

        def run() -> None:
            for pointer in pointers:
                self.view(pointer, 1)
            if self._launch is None:
                return
            self._launch(launch)
            for memory in self._memory.values():
                self._hold(memory.whole, f"{launch.kernel} wrote beyond a buffer")

        self.enqueue(stream, launch.kernel, run)

    def create_stream(self) -> int:
        self.call("create_stream")
        stream = self._new("stream")
        self._streams[stream] = deque()
        return stream

    def destroy_stream(self, stream: int) -> None:
        with self._giving_back("destroy_stream", "stream", stream):
            self._hold(self.failed or not self._streams[stream], "a busy stream is destroyed")
            del self._streams[stream]

    def synchronize_stream(self, stream: int) -> None:
        self.call("synchronize_stream")
        self._not_capturing("synchronize_stream")
        self._run_until(lambda: not self._streams[stream])

    def create_event(self, timing: bool = False) -> int:
        self.call("create_event")
        event = self._new("event")
        self._events[event] = _Event()
        return event

    def destroy_event(self, event: int) -> None:
        with self._giving_back("destroy_event", "event", event):
            del self._events[event]

    def record_event(self, event: int, stream: int) -> None:
        self.call("record_event")
        self._events[event].recorded += 1
        self._streams[stream].append(self._events[event])

    def wait_event(self, stream: int, event: int) -> None:
        self.call("wait_event")
        self._streams[stream].append(_Wait(self._events[event], self._events[event].recorded))

    def synchronize_event(self, event: int) -> None:
        self.call("synchronize_event")
        self._not_capturing("synchronize_event")
        record = self._events[event]
        self._run_until(lambda: record.reached >= record.recorded)

    def elapsed_ms(self, start: int, end: int) -> float:
        self.call("elapsed_ms")
        return 1.0

    def allocate(self, size: int) -> int:
        self.call("allocate")
        self._not_capturing("allocate")
        memory = _Memory(size)
        pointer = memory.bytes.ctypes.data
        self._memory[pointer] = memory
        self.live["device"].add(pointer)
        return pointer

    def free(self, pointer: int) -> None:
        with self._giving_back("free", "device", pointer):
            self._idle("free")
            self._memory.pop(pointer).everything.fill(POISON)

    def allocate_pinned(self, size: int) -> Bytes:
        self.call("allocate_pinned")
        self._not_capturing("allocate_pinned")
        array = np.full(size, POISON, np.uint8)
        self._pinned[id(array)] = array
        self.live["pinned"].add(id(array))
        return array

    def allocate_mapped(self, size: int) -> tuple[Bytes, int]:
        self.call("allocate_mapped")
        self._not_capturing("allocate_mapped")
        memory = _Memory(size)
        array = memory.bytes
        pointer = int(array.ctypes.data)
        self._memory[pointer] = memory
        self._mapped[id(array)] = pointer
        self._pinned[id(array)] = array
        self.live["pinned"].add(id(array))
        return array, pointer

    def free_pinned(self, array: Bytes) -> None:
        with self._giving_back("free_pinned", "pinned", id(array)):
            self._idle("free_pinned")
            self._pinned.pop(id(array)).fill(POISON)
            self._memory.pop(self._mapped.pop(id(array), 0), None)

    def copy_to_device(self, pointer: int, array: Bytes, stream: int) -> None:
        self.call("copy_to_device")
        self._hold(self._is_pinned(array), "copy from memory that is not pinned")

        def run() -> None:
            self.view(pointer, array.size)[:] = array

        self.enqueue(stream, "upload", run)

    def copy_to_host(self, array: Bytes, pointer: int, stream: int) -> None:
        self.call("copy_to_host")
        self._hold(self._is_pinned(array), "copy to memory that is not pinned")

        def run() -> None:
            array[:] = self.view(pointer, array.size)

        self.enqueue(stream, f"download {array.size}", run)

    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        self.call("copy_on_device")

        def run() -> None:
            self.view(target, size)[:] = self.view(source, size)

        self.enqueue(stream, "copy", run)

    def begin_capture(self, stream: int) -> None:
        self.call("begin_capture")
        self._not_capturing("begin_capture")
        self._capture = (stream, [])

    def end_capture(self, stream: int) -> int:
        capture, self._capture = self._capture, None
        self.call("end_capture")
        self._hold(capture is not None and capture[0] == stream, "no capture on this stream")
        assert capture is not None
        graph = self._new("graph")
        self._graphs[graph] = capture[1]
        return graph

    def launch_graph(self, graph: int, stream: int) -> None:
        self.call("launch_graph")
        for work in self._graphs[graph]:
            self.enqueue(stream, work.label, work.run)

    def destroy_graph(self, graph: int) -> None:
        with self._giving_back("destroy_graph", "graph", graph):
            self._idle("destroy_graph")
            del self._graphs[graph]

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.call("close")

    # What tests and the fake engine need -------------------------------------------------------

    def call(self, name: str) -> None:
        """Count a call, and let it fail if it is its turn."""
        self._hold(threading.get_ident() == self._thread, f"{name} from a foreign thread")
        turn = (name, self._counts[name])
        self._counts[name] += 1
        self.calls.append(name)
        if turn == self._fail_at or (self._lost and self.failed):
            self.failed = self.failed or name
            raise gpu_error(name, f"{self._status} at {turn}")

    def enqueue(self, stream: int, label: str, run: Callable[[], None]) -> None:
        """Put work on a stream, or into the graph that it is recorded for."""
        if self._capture is not None and self._capture[0] == stream:
            self._capture[1].append(_Work(label, run))
        else:
            self._streams[stream].append(_Work(label, run))

    def view(self, pointer: int, size: int) -> Bytes:
        """Device memory."""
        for start, memory in self._memory.items():
            if start <= pointer and pointer + size <= start + memory.size:
                return memory.bytes[pointer - start : pointer - start + size]
        self._hold(False, f"{size} bytes at {pointer:#x} are nobody's")
        raise AssertionError

    def _is_pinned(self, array: Bytes) -> bool:
        return id(array) in self._pinned or id(array.base) in self._pinned

    def nothing_left(self) -> bool:
        return self.closed and not any(self.live.values())

    def _new(self, kind: str) -> int:
        number, self._next = self._next, self._next + 1
        self.live[kind].add(number)
        return number

    @contextmanager
    def _giving_back(self, call: str, kind: str, what: int) -> Iterator[None]:
        """Also a call that fails counts: there is no second try."""
        self._hold(what in self.live[kind], f"{call}: given back twice, or never made")
        self.live[kind].discard(what)
        self.call(call)
        yield

    def _run_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            ready = [stream for stream in self._streams if self._can_run(stream)]
            self._hold(bool(ready), "streams wait for each other for ever")
            queue = self._streams[self._random.choice(ready)]
            item = queue.popleft()
            if isinstance(item, _Work):
                self.done.append(item.label)
                item.run()
            elif isinstance(item, _Event):
                item.reached += 1

    def _can_run(self, stream: int) -> bool:
        queue = self._streams[stream]
        if not queue:
            return False
        head = queue[0]
        return not isinstance(head, _Wait) or head.event.reached >= head.turn

    def _idle(self, call: str) -> None:
        busy = any(self._streams.values())
        self._hold(self.failed or not busy, f"{call} while work is enqueued")

    def _not_capturing(self, call: str) -> None:
        self._hold(self._capture is None, f"{call} during a capture")

    def _hold(self, condition: Any, message: str) -> None:
        if not condition:
            self.violations.append(message)
            raise AssertionError(message)


_KINDS = ("stream", "event", "device", "pinned", "graph")


class FakeEngine:
    """`EnqueueEngine` on a `FakeGpu`: the network is a function of arrays.

    Args:
        gpu: whose calls its own are counted among.
        network: float32 [1,1,H,W] to [1,3,H,W].
        capturable: what it says of itself.
        most: largest height and width.
        profiles: of a plan, whose sizes alone it takes.
    """

    name = "fake"

    def __init__(
        self,
        gpu: FakeGpu,
        network: Callable[[Any], Any] | None = None,
        *,
        capturable: bool = True,
        most: tuple[int, int] = (4096, 4096),
        network_dtype: str = "float32",
        profiles: Sequence[Any] | None = None,
    ) -> None:
        self.capturable = capturable
        self.network_dtype = network_dtype
        self._gpu, self._network, self._most = gpu, network, most
        self._profiles = profiles
        self._shape, self._frames = (0, 0), 1
        self._scratch: int | None = None
        gpu.call("engine.open")

    def supports(self, shape: tuple[int, int], frames: int = 1) -> bool:
        if self._profiles is not None and not takes(self._profiles, shape, frames):
            return False
        return shape[0] <= self._most[0] and shape[1] <= self._most[1]

    def prepare(self, shape: tuple[int, int], gpu: Gpu, stream: int, frames: int = 1) -> None:
        self._gpu.call("engine.prepare")
        if not self.supports(shape, frames):
            raise ConfigError(f"this engine takes up to {self._most}, received {shape}")
        self._free()
        self._scratch = gpu.allocate(64)
        self._shape, self._frames = shape, frames

    def enqueue(self, thermal_ptr: int, rgb_ptr: int, stream: int) -> None:
        self._gpu.call("engine.enqueue")
        height, width = self._shape
        dtype = np.dtype(self.network_dtype)

        def run() -> None:
            frames = self._frames
            size = frames * height * width * dtype.itemsize
            thermal = self._gpu.view(thermal_ptr, size).view(dtype)
            thermal = thermal.reshape(frames, 1, height, width)
            rgb = self._gpu.view(rgb_ptr, 3 * size).view(dtype).reshape(frames, 3, height, width)
            if self._network is not None:
                rgb[:] = self._network(np.array(thermal, np.float32))

        self._gpu.enqueue(stream, "network", run)

    def close(self) -> None:
        self._free()
        self._gpu.call("engine.close")

    def _free(self) -> None:
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            self._gpu.free(scratch)

"""Frames in flight on the GPU: slots, three streams, and the events that order them.

    upload    ── frame k, kernels before ──●── frame k+1, ...
                                           │ uploaded
    compute                                ╰─ network ─●─ ...
                                                       │ computed
    download                                           ╰─ kernels after, picture k ──● done

Each stream works on another frame: while the network computes one, the next is prepared and the
last is drawn. Buffers and streams are made once for one frame size; a frame then costs no
allocation and one wait on the host, for its own ``done``. That wait also makes the slot free:
nothing of the frame is left on any stream. Every slot has buffers of its own; shared is what
follows the frames, the levels and what moves by the kernels before the network, the picture as
shown by those after it: either runs in the order of frames.

A GPU with memory of its own draws there, and the picture is copied to the host. One that works in
the host's memory, as a Jetson's does, draws straight into the host's: every byte of a picture is
written once, and no kernel reads it. The frame is copied even there, because several kernels read
it, and such a GPU does not cache what it reads of page-locked memory. (Managed memory would be
cached, but the CPU may not touch it while any kernel runs, and here one always does.)

Before anything is recorded into CUDA graphs everything is allocated, and has run once: a driver
may load a kernel at its first launch, which no capture allows. Every graph is launched once as
well, because a driver uploads it then: the first frames after a change of engines take as long as
any other, and a GPU without memory for graphs is known before. It then goes on without them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.cuda.gpu import Bytes, Gpu
from ladle_rt.cuda.nvtx import mark
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import BackendError
from ladle_rt.frames import Levels, ThermalPixels
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.frame_clock import LAYOUT as CLOCK_LAYOUT
from ladle_rt.translate.cuda.frame_clock import FrameClock
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import ALIGNMENT, TRACKER_HEAD, Buffers, read_levels

_BEFORE, _NETWORK, _AFTER = range(3)
"""Stages of a frame, each on its own stream."""


@dataclass(slots=True)
class _Slot:
    """One frame's own buffers and events."""

    host_in: Bytes
    pixels: Any
    """View of ``host_in``, HxW in the frame's dtype."""
    clock: Bytes
    """View of ``host_in``: the frame's clock travels behind its pixels in one copy."""
    host_out: Bytes
    host_levels: Bytes
    """The level tracker's head after this frame."""
    device: Buffers
    uploaded: int
    computed: int
    done: int
    graphs: dict[int, int] = field(default_factory=dict)
    """By stage; a stage without one is enqueued piece by piece."""


class Ring:
    """A fixed number of frames of one size in flight, handed over in order.

    Used from the thread that owns the GPU. A failed call leaves the ring unusable but for
    `close`.

    Args:
        gpu: with the kernels loaded.
        engine: the network; prepared here for the size.
        kernels: launches for frames of this size and dtype.
        shape: height and width of the frames.
        dtype: of the frames, uint8 or uint16.
        state: device address of the level tracker, ``kernels.state_bytes``; the caller's.
        steady: of flicker suppression's state, ``kernels.steady_bytes``, likewise; 0 without.
        slots: frames in flight, at least 1.

    Raises:
        ConfigError: a size that the network cannot do.
        BackendError: CUDA or the engine refused; everything is given back.
    """

    def __init__(
        self,
        gpu: Gpu,
        engine: EnqueueEngine,
        kernels: FrameKernels,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        state: int,
        steady: int,
        slots: int,
    ) -> None:
        self._gpu, self._engine, self._kernels = gpu, engine, kernels
        self._state, self._steady = state, steady
        self._shape, self._dtype = shape, dtype
        self._submitted = 0
        self._collected = 0
        self._resources = ResourceStack()
        self._graphs = ResourceStack()
        """Before the rest, or alone where they could not be made: they take memory."""
        self._streams: list[int] = []
        self.capture_error: BackendError | None = None
        """Why work is enqueued piece by piece, where graphs were tried."""
        try:
            self._upload, self._compute, self._download = (self._stream() for _ in range(3))
            self._stages = (
                (self._upload, self._enqueue_before),
                (self._compute, self._enqueue_network),
                (self._download, self._enqueue_after),
            )
            self._slots = [self._slot() for _ in range(slots)]
            self._start_scratch()
            engine.prepare(kernels.network_shape, gpu, self._compute)
            self._resources.callback(self._graphs.close)
            self._make_ready()
        except BaseException:
            # What made it fail is the news, not what fails after it.
            with contextlib.suppress(BackendError):
                self.close()
            raise

    @property
    def in_flight(self) -> int:
        """Frames submitted and not collected."""
        return self._submitted - self._collected

    @property
    def full(self) -> bool:
        """Whether every slot is in flight."""
        return self.in_flight == len(self._slots)

    def submit(self, pixels: ThermalPixels, clock: FrameClock) -> None:
        """Copy a frame and enqueue its whole way; `full` must be false.

        Args:
            pixels: HxW of the ring's size and dtype, any strides; not used after the return.
            clock: the frame's.

        Raises:
            BackendError: CUDA or the engine refused.
        """
        gpu, slot = self._gpu, self._slots[self._submitted % len(self._slots)]
        with mark("upload"):
            np.copyto(slot.pixels, pixels)
            slot.clock[:] = np.frombuffer(clock.pack(), np.uint8)
            gpu.copy_to_device(slot.device.input, slot.host_in, self._upload)
            self._run(slot, _BEFORE)
            # On the upload stream: the next frame there moves the levels on.
            gpu.copy_to_host(slot.host_levels, self._state, self._upload)
            gpu.record_event(slot.uploaded, self._upload)
        with mark("compute"):
            gpu.wait_event(self._compute, slot.uploaded)
            self._run(slot, _NETWORK)
            gpu.record_event(slot.computed, self._compute)
        with mark("download"):
            gpu.wait_event(self._download, slot.computed)
            self._run(slot, _AFTER)
            if not gpu.integrated:
                gpu.copy_to_host(slot.host_out, slot.device.output, self._download)
            gpu.record_event(slot.done, self._download)
        self._submitted += 1

    def collect(self) -> tuple[Bytes, Levels]:
        """Wait for the oldest frame in flight; there must be one.

        Returns:
            `Picture.data`, a copy that the caller owns, and the frame's thermal levels.

        Raises:
            BackendError: the work of this frame or an earlier one failed on the GPU.
        """
        slot = self._slots[self._collected % len(self._slots)]
        with mark("wait"):
            self._gpu.synchronize_event(slot.done)
        self._collected += 1
        levels = read_levels(slot.host_levels.tobytes())
        return slot.host_out.reshape(self._kernels.output_shape).copy(), levels

    def close(self) -> None:
        """Drop what is in flight and give everything back; calling it twice is harmless.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        streams, self._streams = self._streams, []
        for stream in streams:
            # Buffers may go only when nothing works on them; a lost device no longer does.
            self._resources.callback(self._gpu.synchronize_stream, stream)
        self._resources.close()

    def _slot(self) -> _Slot:
        kernels = self._kernels
        clock_at = -(-kernels.input_bytes // ALIGNMENT) * ALIGNMENT
        host_in = self._pinned(clock_at + CLOCK_LAYOUT.size)
        host_in.fill(0)
        pixels = host_in[: kernels.input_bytes].view(self._dtype)
        device_in = self._device(host_in.size)
        host_out, device_out = self._output(kernels.output_bytes)
        return _Slot(
            host_in=host_in,
            pixels=pixels.reshape(self._shape),
            clock=host_in[clock_at:],
            host_out=host_out,
            host_levels=self._pinned(TRACKER_HEAD.size),
            device=Buffers(
                input=device_in,
                clock=device_in + clock_at,
                state=self._state,
                steady=self._steady,
                thermal=self._device(kernels.thermal_bytes),
                rgb=self._device(3 * kernels.thermal_bytes),
                scratch=self._device(kernels.scratch_bytes),
                output=device_out,
            ),
            uploaded=self._event(),
            computed=self._event(),
            done=self._event(),
        )

    def _run(self, slot: _Slot, stage: int) -> None:
        stream, enqueue = self._stages[stage]
        graph = slot.graphs.get(stage)
        if graph is None:
            enqueue(slot)
        else:
            self._gpu.launch_graph(graph, stream)

    def _enqueue_before(self, slot: _Slot) -> None:
        for launch in self._kernels.before(slot.device):
            self._gpu.launch(launch, self._upload)

    def _enqueue_network(self, slot: _Slot) -> None:
        self._engine.enqueue(slot.device.thermal, slot.device.rgb, self._compute)

    def _enqueue_after(self, slot: _Slot) -> None:
        for launch in self._kernels.after(slot.device):
            self._gpu.launch(launch, self._download)

    def _start_scratch(self) -> None:
        start = self._kernels.scratch_start
        if start.size:
            staging = self._pinned(start.size)
            staging[:] = start
            for slot in self._slots:
                self._gpu.copy_to_device(slot.device.scratch, staging, self._compute)
        # The engine may free what it had for another size: nothing is to be under way then.
        self._gpu.synchronize_stream(self._compute)

    def _make_ready(self) -> None:
        """Run everything on a black frame, record it, run the recordings; the state outlives it."""
        sizes = self._kernels.state_bytes, self._kernels.steady_bytes
        kept = [
            (pointer, self._device(size), size)
            for pointer, size in zip((self._state, self._steady), sizes, strict=True)
            if size
        ]
        for pointer, spare, size in kept:
            self._gpu.copy_on_device(spare, pointer, size, self._compute)
        self._gpu.synchronize_stream(self._compute)
        self._run_all()
        self._record_all()
        for pointer, spare, size in kept:
            self._gpu.copy_on_device(pointer, spare, size, self._compute)
        self._gpu.synchronize_stream(self._compute)

    def _run_all(self) -> None:
        for slot in self._slots:
            for stage, (stream, _) in enumerate(self._stages):
                self._run(slot, stage)
                self._gpu.synchronize_stream(stream)

    def _record_all(self) -> None:
        """Make graphs and launch each once, or leave none."""
        recorded = [_BEFORE, _NETWORK, _AFTER] if self._engine.capturable else [_BEFORE, _AFTER]
        try:
            for slot in self._slots:
                for stage in recorded:
                    slot.graphs[stage] = self._capture(slot, *self._stages[stage])
            self._run_all()
        except BackendError as error:
            for slot in self._slots:
                slot.graphs.clear()
            try:
                for stream in self._streams:
                    self._gpu.synchronize_stream(stream)
                self._graphs.close()
            except BackendError:
                # Not the graphs failed but the GPU.
                raise error from None
            self.capture_error = error

    def _capture(self, slot: _Slot, stream: int, enqueue: Callable[[_Slot], None]) -> int:
        self._gpu.begin_capture(stream)
        try:
            enqueue(slot)
        except BaseException:
            # A stream stays in capture until its end is asked for, whatever comes of it.
            with contextlib.suppress(BackendError):
                graph = self._gpu.end_capture(stream)
                self._graphs.callback(self._gpu.destroy_graph, graph)
            raise
        graph = self._gpu.end_capture(stream)
        self._graphs.callback(self._gpu.destroy_graph, graph)
        return graph

    def _stream(self) -> int:
        stream = self._gpu.create_stream()
        self._resources.callback(self._gpu.destroy_stream, stream)
        self._streams.append(stream)
        return stream

    def _event(self) -> int:
        event = self._gpu.create_event()
        self._resources.callback(self._gpu.destroy_event, event)
        return event

    def _device(self, size: int) -> int:
        pointer = self._gpu.allocate(size)
        self._resources.callback(self._gpu.free, pointer)
        return pointer

    def _output(self, size: int) -> tuple[Bytes, int]:
        """Where a picture is read on the host, and where it is drawn on the GPU."""
        if not self._gpu.integrated:
            return self._pinned(size), self._device(size)
        array, pointer = self._gpu.allocate_mapped(size)
        self._resources.callback(self._gpu.free_pinned, array)
        return array, pointer

    def _pinned(self, size: int) -> Bytes:
        array = self._gpu.allocate_pinned(size)
        self._resources.callback(self._gpu.free_pinned, array)
        return array

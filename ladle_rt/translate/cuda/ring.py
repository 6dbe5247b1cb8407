"""Frames in flight on the GPU: slots, three streams, and the events that order them.

    upload    ── frame k ──●── frame k+1 ──●
                           │ uploaded      │
    compute                ╰─ kernels, network, kernels ─●─ ...
                                                         │ computed
    download                                             ╰─ picture k ──● done

Buffers and streams are made once for one frame size; a frame then costs no allocation and one
wait on the host, for its own ``done``. That wait also makes the slot free: nothing of the frame
is left on any stream. Thermal image, network output and scratch exist once, because the compute
stream works on one frame after another; so does the level tracker's state.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ladle_rt.errors import BackendError
from ladle_rt.frames import Levels, ThermalPixels
from ladle_rt.translate.cuda.frame_kernels import ALIGNMENT, TRACKER_HEAD, FrameKernels
from ladle_rt.translate.cuda.gpu import Bytes, EnqueueEngine, Gpu
from ladle_rt.translate.cuda.nvtx import mark
from ladle_rt.translate.cuda.owned import Owned

_TIME_BYTES = 8
"""The frame's time, float64, travels behind its pixels in one copy."""


@dataclass(slots=True)
class _Slot:
    """One frame's own buffers and events."""

    host_in: Bytes
    pixels: Any
    """View of ``host_in``, HxW in the frame's dtype."""
    time_s: npt.NDArray[np.float64]
    """View of ``host_in``, one element."""
    host_out: Bytes
    host_levels: Bytes
    """The level tracker's head after this frame."""
    device_in: int
    device_out: int
    uploaded: int
    computed: int
    done: int
    graph: int | None = None
    """The compute part as a CUDA graph; ``None``: enqueued piece by piece."""


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
        slots: int,
    ) -> None:
        self._gpu, self._engine, self._kernels, self._state = gpu, engine, kernels, state
        self._shape, self._dtype = shape, dtype
        self._submitted = 0
        self._collected = 0
        self._owned = Owned()
        self._streams: list[int] = []
        self.capture_error: BackendError | None = None
        """Why the compute part is enqueued piece by piece, where a graph was tried."""
        try:
            self._upload, self._compute, self._download = (self._stream() for _ in range(3))
            self._thermal = self._device(kernels.thermal_bytes)
            self._rgb = self._device(3 * kernels.thermal_bytes)
            self._scratch = self._device(kernels.scratch_bytes)
            self._slots = [self._slot() for _ in range(slots)]
            self._start_scratch()
            engine.prepare(kernels.network_shape, gpu, self._compute)
            self._warm_up()
            self._capture_all()
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

    @property
    def uses_graphs(self) -> bool:
        """Whether the compute part runs as CUDA graphs."""
        return all(slot.graph is not None for slot in self._slots)

    def submit(self, pixels: ThermalPixels, time_s: float) -> None:
        """Copy a frame and enqueue its whole way; `full` must be false.

        Args:
            pixels: HxW of the ring's size and dtype, any strides; not used after the return.
            time_s: presentation time, seconds.

        Raises:
            BackendError: CUDA or the engine refused.
        """
        gpu, slot = self._gpu, self._slots[self._submitted % len(self._slots)]
        with mark("upload"):
            np.copyto(slot.pixels, pixels)
            slot.time_s[0] = time_s
            gpu.copy_to_device(slot.device_in, slot.host_in, self._upload)
            gpu.record_event(slot.uploaded, self._upload)
        with mark("compute"):
            gpu.wait_event(self._compute, slot.uploaded)
            if slot.graph is None:
                self._enqueue(slot)
            else:
                gpu.launch_graph(slot.graph, self._compute)
            # On the compute stream: the next frame there moves the levels on.
            gpu.copy_to_host(slot.host_levels, self._state, self._compute)
            gpu.record_event(slot.computed, self._compute)
        with mark("download"):
            gpu.wait_event(self._download, slot.computed)
            gpu.copy_to_host(slot.host_out, slot.device_out, self._download)
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
        levels = Levels(*TRACKER_HEAD.unpack(slot.host_levels.tobytes())[:3])
        return slot.host_out.reshape(self._kernels.output_shape).copy(), levels

    def close(self) -> None:
        """Drop what is in flight and give everything back; calling it twice is harmless.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        streams, self._streams = self._streams, []
        for stream in streams:
            # Buffers may go only when nothing works on them; a lost device no longer does.
            self._owned.add(self._gpu.synchronize_stream, stream)
        self._owned.give_back()

    def _slot(self) -> _Slot:
        kernels = self._kernels
        time_at = -(-kernels.input_bytes // ALIGNMENT) * ALIGNMENT
        host_in = self._pinned(time_at + _TIME_BYTES)
        host_in.fill(0)
        pixels = host_in[: kernels.input_bytes].view(self._dtype)
        return _Slot(
            host_in=host_in,
            pixels=pixels.reshape(self._shape),
            time_s=host_in[time_at:].view(np.float64),
            host_out=self._pinned(kernels.output_bytes),
            host_levels=self._pinned(TRACKER_HEAD.size),
            device_in=self._device(host_in.size),
            device_out=self._device(kernels.output_bytes),
            uploaded=self._event(),
            computed=self._event(),
            done=self._event(),
        )

    def _enqueue(self, slot: _Slot) -> None:
        """The compute part."""
        time_ptr = slot.device_in + slot.host_in.size - _TIME_BYTES
        for launch in self._kernels.before(
            slot.device_in, self._state, self._thermal, self._scratch, time_ptr
        ):
            self._gpu.launch(launch, self._compute)
        self._engine.enqueue(self._thermal, self._rgb, self._compute)
        for launch in self._kernels.after(
            slot.device_in, self._rgb, self._scratch, slot.device_out
        ):
            self._gpu.launch(launch, self._compute)

    def _start_scratch(self) -> None:
        start = self._kernels.scratch_start
        if not start.size:
            return
        staging = self._pinned(start.size)
        staging[:] = start
        self._gpu.copy_to_device(self._scratch, staging, self._compute)
        # The engine may free what it had for another size: nothing is to be under way then.
        self._gpu.synchronize_stream(self._compute)

    def _warm_up(self) -> None:
        """Run the network once: engines load and choose kernels at their first run."""
        self._engine.enqueue(self._thermal, self._rgb, self._compute)
        self._gpu.synchronize_stream(self._compute)

    def _capture_all(self) -> None:
        if not self._engine.capturable:
            return
        try:
            for slot in self._slots:
                slot.graph = self._capture(slot)
        except BackendError as error:
            for slot in self._slots:
                slot.graph = None
            try:
                self._gpu.synchronize_stream(self._compute)
            except BackendError:
                # Not the capture failed but the GPU.
                raise error from None
            self.capture_error = error

    def _capture(self, slot: _Slot) -> int:
        self._gpu.begin_capture(self._compute)
        try:
            self._enqueue(slot)
        except BaseException:
            # A stream stays in capture until its end is asked for, whatever comes of it.
            with contextlib.suppress(BackendError):
                self._owned.add(self._gpu.destroy_graph, self._gpu.end_capture(self._compute))
            raise
        graph = self._gpu.end_capture(self._compute)
        self._owned.add(self._gpu.destroy_graph, graph)
        return graph

    def _stream(self) -> int:
        stream = self._gpu.create_stream()
        self._owned.add(self._gpu.destroy_stream, stream)
        self._streams.append(stream)
        return stream

    def _event(self) -> int:
        event = self._gpu.create_event()
        self._owned.add(self._gpu.destroy_event, event)
        return event

    def _device(self, size: int) -> int:
        pointer = self._gpu.allocate(size)
        self._owned.add(self._gpu.free, pointer)
        return pointer

    def _pinned(self, size: int) -> Bytes:
        array = self._gpu.allocate_pinned(size)
        self._owned.add(self._gpu.free_pinned, array)
        return array

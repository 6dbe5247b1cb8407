"""What the thread that owns the GPU holds and does.

New frames come before old results: it waits for the GPU only when no frame waits for it. By then
the ring holds the next ones, so the GPU has work while the thread sleeps.
"""

from __future__ import annotations

import logging
import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import Bytes, Gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import ConfigError
from ladle_rt.frames import (
    Frame,
    Picture,
    ThermalImage,
    ThermalPixels,
    TranslatedFrame,
)
from ladle_rt.geometry import fit_letterbox
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.thermal.normalization import FollowedLevels
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.frame_clock import Clock
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.frame_memory import TRACKER_HEAD, pack_levels, read_levels
from ladle_rt.translate.cuda.ring import Ring

logger = logging.getLogger("ladle_rt")

Result = Future[TranslatedFrame]
FrameJob = tuple[Frame, tuple[int, int], Result]
"""A frame, the network's box for it, and who waits for the picture."""
LevelsAnswer = Future[FollowedLevels | None]
Job = FrameJob | LevelsAnswer | FollowedLevels
"""Or who waits for the thermal levels after the frames before, or those to begin with."""

_Kind = tuple[tuple[int, ...], "np.dtype[np.generic]", tuple[int, int]]
"""Shape and dtype of frames, and the network's box."""


class GpuWorker:
    """GPU, engine, ring and tracker state, all of one thread.

    Args:
        info: the model's facts.
        options: how to translate.
        picture: what the sink wants.
        slots: frames in flight; `jobs` never holds more unanswered ones.
        jobs: frames with the futures that answer them, and the like; ``None`` ends `serve`.
    """

    def __init__(
        self,
        info: ModelInfo,
        options: TranslateOptions,
        picture: PictureSpec,
        slots: int,
        jobs: queue.SimpleQueue[Job | None],
    ) -> None:
        self._info, self._options, self._picture = info, options, picture
        self._slots, self._jobs = slots, jobs
        self._resources = ResourceStack()
        self._plan: tuple[_Kind, FrameKernels, Ring] | None = None
        self._state: tuple[np.dtype[np.generic], int] | None = None
        """Dtype of the frames whose levels it follows, device address."""
        self._steady: tuple[object, int] | None = None
        """Shape and dtype of the frames that it makes steady, device address."""
        self._clock = Clock(options.smoothing_s)
        self._enqueued: deque[FrameJob] = deque()
        self._resumed: FollowedLevels | None = None
        """What the state will begin with."""
        self._warned_capture = False

    def start(
        self,
        open_gpu: Callable[[], Gpu],
        open_engine: Callable[[Gpu], EnqueueEngine],
        image: Callable[[tuple[int, int]], bytes],
    ) -> str:
        """Open GPU, kernels and engine; the name of engine and GPU.

        Raises:
            LadleError: what one of them raised; `release` gives the others back.
        """
        self._gpu = open_gpu()
        self._resources.callback(self._gpu.close)
        self._gpu.load_kernels(image(self._gpu.capability))
        self._engine = open_engine(self._gpu)
        self._resources.callback(self._engine.close)
        self._resources.callback(self._free_state)
        self._resources.callback(self._free_steady)
        return f"{self._engine.name} on {self._gpu.name}"

    def supports(self, shape: tuple[int, int]) -> bool:
        """Whether the engine takes inputs of a height and width; in any thread."""
        return self._engine.supports(shape)

    def serve(self) -> None:
        """Answer frames until told to end; those in flight then stay unanswered.

        Raises:
            BackendError: CUDA or the engine failed; only `release` may follow.
        """
        while True:
            try:
                job = self._jobs.get(block=not self._enqueued)
            except queue.Empty:
                self._hand_over()
                continue
            if job is None:
                return
            if isinstance(job, FollowedLevels):
                self._resume(job)
            elif isinstance(job, Future):
                job.set_result(self._followed_levels())
            else:
                self._take(job)

    def release(self) -> None:
        """Give everything back.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        plan, self._plan = self._plan, None
        if plan is not None:
            self._resources.callback(plan[2].close)
        self._resources.close()

    def _take(self, job: FrameJob) -> None:
        frame, box, result = job
        try:
            ring = self._ring_for(frame.pixels, box)
        except ConfigError as error:
            # This size cannot be done; the next frame may be of another.
            result.set_exception(error)
            return
        ring.submit(frame.pixels, self._clock.tick(frame.time_s))
        self._enqueued.append(job)

    def _hand_over_all(self) -> None:
        while self._enqueued:
            self._hand_over()

    def _hand_over(self) -> None:
        assert self._plan is not None
        _, kernels, ring = self._plan
        data, levels = ring.collect()
        frame, _, result = self._enqueued.popleft()
        height, width = kernels.picture_size
        picture = Picture(self._picture.pixel_format, data, width, height)
        thermal = ThermalImage(frame.pixels, levels)
        steady = kernels.steady_bytes > 0
        result.set_result(TranslatedFrame(frame, picture, thermal, steady=steady))

    def _ring_for(self, pixels: ThermalPixels, box: tuple[int, int]) -> Ring:
        """The ring for frames like this one, made anew when they are others than before."""
        kind: _Kind = (pixels.shape, pixels.dtype, box)
        if self._plan is not None and self._plan[0] == kind:
            return self._plan[2]
        self._hand_over_all()
        if self._plan is not None:
            ring, self._plan = self._plan[2], None
            ring.close()
        height, width = pixels.shape
        options = self._options
        kernels = FrameKernels(
            height,
            width,
            pixels.dtype,
            fit_letterbox(height, width, box, self._info.size_multiple),
            self._info.thermal,
            self._picture,
            options.detail == "guided",
            options.layout,
            options.mark,
            self._engine.network_dtype,
            steady=options.steady,
            fixed_range=options.fixed_range,
        )
        ring = Ring(
            self._gpu,
            self._engine,
            kernels,
            (height, width),
            pixels.dtype,
            self._state_for(pixels.dtype, kernels.state_bytes),
            self._steady_for((pixels.shape, pixels.dtype), kernels.steady_bytes),
            self._slots,
        )
        self._plan = (kind, kernels, ring)
        if ring.capture_error is not None and not self._warned_capture:
            self._warned_capture = True
            logger.warning("CUDA graphs are not used: %s", ring.capture_error)
        return ring

    def _state_for(self, dtype: np.dtype[np.generic], size: int) -> int:
        """Levels live on when only the size changes; counts of another dtype start anew."""
        if self._state is not None and self._state[0] == dtype:
            return self._state[1]
        self._free_state()
        pointer = self._gpu.allocate(size)
        self._state = (dtype, pointer)
        resumed, self._resumed = self._resumed, None
        self._clock.resume_levels(None)
        if resumed is not None:
            self._write_levels(resumed)
        return pointer

    def _steady_for(self, kind: object, size: int) -> int:
        """What was shown stays when only the network's size changes."""
        if not size:
            return 0
        if self._steady is not None and self._steady[0] == kind:
            return self._steady[1]
        self._free_steady()
        pointer = self._gpu.allocate(size)
        self._steady = (kind, pointer)
        self._clock.forget_shown()
        return pointer

    def _resume(self, followed: FollowedLevels) -> None:
        if self._state is None:
            self._resumed = followed
            return
        self._hand_over_all()
        self._write_levels(followed)

    def _write_levels(self, followed: FollowedLevels) -> None:
        assert self._state is not None
        head = pack_levels(followed.levels)
        self._transfer(self._gpu.copy_to_device, self._state[1], head)
        self._clock.resume_levels(followed.time_s)

    def _followed_levels(self) -> FollowedLevels | None:
        if self._state is None:
            return self._resumed
        if self._clock.levels_s is None:
            return None
        # Frames that were taken count: they must have been through the tracker.
        self._hand_over_all()
        head = self._transfer(
            lambda pointer, array, stream: self._gpu.copy_to_host(array, pointer, stream),
            self._state[1],
            bytes(TRACKER_HEAD.size),
        )
        return FollowedLevels(read_levels(head), self._clock.levels_s)

    def _transfer(
        self, copy: Callable[[int, Bytes, int], None], pointer: int, content: bytes
    ) -> bytes:
        """Copy a few bytes between device and pinned memory that begins as ``content``; waits."""
        resources = ResourceStack()
        try:
            stream = self._gpu.create_stream()
            resources.callback(self._gpu.destroy_stream, stream)
            array = self._gpu.allocate_pinned(len(content))
            resources.callback(self._gpu.free_pinned, array)
            array[:] = np.frombuffer(content, np.uint8)
            copy(pointer, array, stream)
            self._gpu.synchronize_stream(stream)
            return array.tobytes()
        finally:
            resources.close()

    def _free_state(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self._gpu.free(state[1])

    def _free_steady(self) -> None:
        steady, self._steady = self._steady, None
        if steady is not None:
            self._gpu.free(steady[1])

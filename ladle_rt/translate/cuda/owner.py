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
from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, Picture, ThermalPixels, TranslatedFrame
from ladle_rt.geometry import fit_box
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.frame_kernels import FrameKernels
from ladle_rt.translate.cuda.gpu import EnqueueEngine, Gpu
from ladle_rt.translate.cuda.owned import Owned
from ladle_rt.translate.cuda.ring import Ring

logger = logging.getLogger("ladle_rt")

Result = Future[TranslatedFrame]
Job = tuple[Frame, tuple[int, int], Result]
"""A frame, the network's box for it, and who waits for the picture."""

_Kind = tuple[tuple[int, ...], "np.dtype[np.generic]", tuple[int, int]]
"""Shape and dtype of frames, and the network's box."""


class Owner:
    """GPU, engine, ring and tracker state, all of one thread.

    Args:
        info: the model's facts.
        options: how to translate.
        picture: what the sink wants.
        slots: frames in flight; `jobs` never holds more unanswered ones.
        jobs: frames with the futures that answer them; ``None`` ends `serve`.
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
        self._owned = Owned()
        self._plan: tuple[_Kind, FrameKernels, Ring] | None = None
        self._state: tuple[np.dtype[np.generic], int] | None = None
        """Dtype of the frames whose levels it follows, device address."""
        self._enqueued: deque[Job] = deque()
        self._told_capture = False

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
        self._owned.add(self._gpu.close)
        self._gpu.load_kernels(image(self._gpu.capability))
        self._engine = open_engine(self._gpu)
        self._owned.add(self._engine.close)
        self._owned.add(self._free_state)
        return f"{self._engine.name} on {self._gpu.name}"

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
            self._take(job)

    def release(self) -> None:
        """Give everything back.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        plan, self._plan = self._plan, None
        if plan is not None:
            self._owned.add(plan[2].close)
        self._owned.give_back()

    def _take(self, job: Job) -> None:
        frame, box, result = job
        try:
            ring = self._ring_for(frame.pixels, box)
        except ConfigError as error:
            # This size cannot be done; the next frame may be of another.
            result.set_exception(error)
            return
        ring.submit(frame.pixels, frame.time_s)
        self._enqueued.append(job)

    def _hand_over(self) -> None:
        assert self._plan is not None
        _, kernels, ring = self._plan
        data = ring.collect()
        frame, _, result = self._enqueued.popleft()
        height, width = kernels.picture_size
        result.set_result(
            TranslatedFrame(frame, Picture(self._picture.pixel_format, data, width, height))
        )

    def _ring_for(self, pixels: ThermalPixels, box: tuple[int, int]) -> Ring:
        """The ring for frames like this one, made anew when they are others than before."""
        kind: _Kind = (pixels.shape, pixels.dtype, box)
        if self._plan is not None and self._plan[0] == kind:
            return self._plan[2]
        while self._enqueued:
            self._hand_over()
        if self._plan is not None:
            ring, self._plan = self._plan[2], None
            ring.close()
        height, width = pixels.shape
        options = self._options
        kernels = FrameKernels(
            height,
            width,
            pixels.dtype,
            fit_box(height, width, box, self._info.size_multiple),
            self._info.thermal,
            self._picture,
            options.detail == "guided",
            options.layout,
            options.mark,
            self._engine.network_dtype,
            smoothing_s=options.smoothing_s,
            fixed_range=options.fixed_range,
        )
        state = self._state_for(pixels.dtype, kernels.state_bytes)
        ring = Ring(
            self._gpu, self._engine, kernels, (height, width), pixels.dtype, state, self._slots
        )
        self._plan = (kind, kernels, ring)
        if ring.capture_error is not None and not self._told_capture:
            self._told_capture = True
            logger.warning("CUDA graphs are not used: %s", ring.capture_error)
        return ring

    def _state_for(self, dtype: np.dtype[np.generic], size: int) -> int:
        """Levels live on when only the size changes; counts of another dtype start anew."""
        if self._state is not None and self._state[0] == dtype:
            return self._state[1]
        self._free_state()
        pointer = self._gpu.allocate(size)
        self._state = (dtype, pointer)
        return pointer

    def _free_state(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self._gpu.free(state[1])

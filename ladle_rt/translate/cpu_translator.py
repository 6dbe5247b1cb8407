"""The CPU translator: several frames at a time, one thread each, results in order.

What needs the order of frames (following the thermal levels) happens in `submit`, on the frame
at network size; everything else in the workers.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import cv2
import numpy as np

from ladle_rt.closing import Closing
from ladle_rt.config import Layout, TranslateOptions
from ladle_rt.errors import BackendError, PipelineError
from ladle_rt.frames import Frame, Levels, ThermalImage, ThermalPixels, TranslatedFrame
from ladle_rt.geometry import Letterbox, crop, fit_letterbox, pad, shrink
from ladle_rt.models.artifact import ModelInfo
from ladle_rt.thermal.normalization import FollowedLevels, LevelTracker, apply_levels
from ladle_rt.translate.colorize import PictureSpec, Rendering, render
from ladle_rt.translate.fair_pool import Lane
from ladle_rt.translate.network import Network, PatientNetwork, Runner
from ladle_rt.translate.semantic import class_colours

logger = logging.getLogger("ladle_rt")

CLOSED = "the translator is closed; make a new one"


class CpuTranslator(Closing):
    """A `Translator` over a pool of threads; see the module's docstring.

    Args:
        network: the loaded graph; of the classes, where the layout shows them.
        info: the model's facts.
        options: how to translate.
        picture: what the sink wants.
        workers: threads, one frame each.
        lane: of a pool of so many workers that others use too; closed at the end. ``None``: a
            pool of its own.
    """

    def __init__(
        self,
        network: Network,
        info: ModelInfo,
        options: TranslateOptions,
        picture: PictureSpec,
        workers: int,
        lane: Lane | None = None,
    ) -> None:
        # OpenCV's own thread pool would fight with the workers over the same cores.
        cv2.setNumThreads(1)
        self._network = network
        self._info = info
        self._options = options
        self._picture = picture
        self._workers = workers
        self._box = options.size or info.train_size
        self._tracker = LevelTracker(info.thermal, options.smoothing_s, options.fixed_range)
        self._local = threading.local()
        self._lane = lane
        self._pool: ThreadPoolExecutor | Lane = lane or ThreadPoolExecutor(
            workers, thread_name_prefix="translate"
        )
        self._slots = threading.Semaphore(2 * workers)
        self._flying: deque[Future[TranslatedFrame]] = deque()
        self._tickets = 0
        self._closed = False
        self._warned_odd = False

    @property
    def name(self) -> str:
        """Engine and number of workers."""
        shared = "" if self._lane is None else " shared"
        return f"{self._network.name} ({self._workers}{shared} workers)"

    @property
    def depth(self) -> int:
        """Two frames per worker: one being translated, one waiting.

        Of a shared pool only this translator's part counts, which changes as others come and go.
        """
        return 2 * (self._workers if self._lane is None else self._lane.share)

    @property
    def network_size(self) -> tuple[int, int]:
        """See `Translator.network_size`."""
        return self._box

    @property
    def layout(self) -> Layout:
        """See `Translator.layout`."""
        return self._options.layout

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`."""
        self._box = size

    def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
        """Engines on the CPU take every size."""
        return True

    def submit(self, frame: Frame) -> int:
        """Enqueue one frame; see `Translator.submit`."""
        self._slots.acquire()
        try:
            self._flying.append(self._start(frame))
        except BaseException as error:
            self._slots.release()
            # The pool refuses with a RuntimeError what comes while it is being closed.
            if self._closed and isinstance(error, RuntimeError):
                raise BackendError(CLOSED) from None
            raise
        self._tickets += 1
        return self._tickets - 1

    def _start(self, frame: Frame) -> Future[TranslatedFrame]:
        if self._closed:
            raise BackendError(CLOSED)
        height, width = frame.pixels.shape
        if self._picture.even and (height % 2 or width % 2) and not self._warned_odd:
            self._warned_odd = True
            logger.warning("%dx%d is odd: the picture is cropped to even by a pixel", width, height)
        fit = fit_letterbox(height, width, self._box, self._info.size_multiple)
        small = shrink(frame.pixels, fit)
        levels = self._tracker.update(small, frame.time_s)
        return self._pool.submit(self._translate, frame, fit, small, levels)

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result; see `Translator.collect`."""
        try:
            future = self._flying[0]
        except IndexError:
            if self._closed:
                raise BackendError(CLOSED) from None
            raise PipelineError("collect without a frame in flight; submit one first") from None
        try:
            # Only waits: it returns the worker's own error, which may be a TimeoutError too.
            future.exception(timeout_s)
        except CancelledError:
            raise BackendError(CLOSED) from None
        except FutureTimeoutError:
            raise PipelineError(f"no frame translated within {timeout_s} s") from None
        self._pop()
        return future.result()

    def followed_levels(self) -> FollowedLevels | None:
        """See `Translator.followed_levels`."""
        return self._tracker.followed

    def resume_levels(self, followed: FollowedLevels) -> None:
        """See `Translator.resume_levels`."""
        self._tracker.resume(followed)

    def close(self) -> None:
        """Drop what waits, let the workers finish their frame, end them."""
        self._closed = True
        if self._lane is None and isinstance(self._network, PatientNetwork):
            self._network.give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._flying.clear()
        self._slots.release()

    def _pop(self) -> None:
        # `close` in another thread may have been faster.
        with contextlib.suppress(IndexError):
            self._flying.popleft()
        self._slots.release()

    def _run(self) -> Runner:
        if not hasattr(self._local, "run"):
            self._local.run = self._network.runner()
        run: Runner = self._local.run
        return run

    def _translate(
        self, frame: Frame, fit: Letterbox, small: ThermalPixels, levels: Levels
    ) -> TranslatedFrame:
        thermal = apply_levels(small, levels, self._info.thermal)
        output = self._run()(np.ascontiguousarray(pad(thermal, fit))[None, None])
        rgb = np.ascontiguousarray(crop(output[0], fit))
        if self._options.layout == "semantic":
            rgb = class_colours(rgb)
        picture = render(
            Rendering(rgb, thermal, frame.pixels, levels),
            self._info.thermal,
            self._picture,
            detail=self._options.detail == "guided",
            layout=self._options.layout,
            mark=self._options.mark,
        )
        return TranslatedFrame(frame, picture, ThermalImage(frame.pixels, levels))

"""A recording without end, as files of a few minutes that can be removed one by one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ladle_rt.errors import LadleError, OutputError
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.serve.serve_storage import SUFFIX, Storage
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sinks.video_sink import VideoSink

logger = logging.getLogger("ladle_rt.serve")

AGAIN_S = 5.0
"""After a file that could not be written, before the next is tried."""
LOOK_EVERY_S = 1.0
"""Between looks at the size of the file."""


class SegmentSink:
    """A `Sink`: the camera's recording; a disk that is full stops it for a while, not the camera.

    Each file plays up to its last half second at every moment; see `ladle_rt.sinks.video_sink`.
    """

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        camera: str,
        storage: Storage,
        context: SinkContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            camera: names the folder.
            storage: says where, how long, and whether there is room.
            context: what the pictures will be like.
            clock: seconds.
        """
        self._camera, self._storage, self._clock = camera, storage, clock
        self._context = replace(context, overwrite=False, media=None)
        self._file: tuple[Path, Sink] | None = None
        self._began_s = self._looked_s = 0.0
        self._wait_until_s = float("-inf")
        self._skipped = 0
        self.problem: str | None = None
        """Why nothing is recorded now."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """Pictures that were not recorded; see `SkippingSink.skipped`."""
        return {"recording": self._skipped}

    @property
    def path(self) -> Path | None:
        """The file being written."""
        return None if self._file is None else self._file[0]

    def write(self, translated: TranslatedFrame) -> None:
        """Record the picture where there is room; raises nothing for a disk."""
        now_s = self._clock()
        no_room = self._storage.state.problem
        if no_room is not None or self._is_full(now_s):
            self._finish()
        if no_room is not None or now_s < self._wait_until_s:
            self.problem = no_room or self.problem
            self._skipped += 1
            return
        try:
            if self._file is None:
                self._begin(now_s)
            assert self._file is not None
            self._file[1].write(translated)
            self.problem = None
        except LadleError as error:
            self._fail(error, now_s)

    def close(self) -> None:
        """Finish the file."""
        self._finish()

    def abort(self) -> None:
        """The same: what was recorded is kept."""
        self._finish()

    def _is_full(self, now_s: float) -> bool:
        if self._file is None:
            return False
        rule = self._storage.rule
        if now_s - self._began_s >= rule.segment_minutes * 60:
            return True
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        try:
            return self._file[0].stat().st_size >= rule.segment_mb * 1e6
        except OSError:
            # Somebody has taken it away.
            return True

    def _begin(self, now_s: float) -> None:
        folder = self._storage.rule.folder / self._camera
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
        stem = time.strftime("%Y%m%d-%H%M%S")
        path, number = folder / f"{stem}{SUFFIX}", 1
        while path.exists():
            number += 1
            path = folder / f"{stem}-{number}{SUFFIX}"
        self._storage.opened(path)
        self._file = path, VideoSink(path, self._context, "growing")
        self._began_s = self._looked_s = now_s

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        path, sink = file
        try:
            sink.close()
        except LadleError as error:
            logger.error("camera %s: %s", self._camera, error)
        self._storage.closed(path)

    def _fail(self, error: LadleError, now_s: float) -> None:
        self.problem = str(error)
        self._skipped += 1
        self._wait_until_s = now_s + AGAIN_S
        logger.error("camera %s: %s; trying again", self._camera, error)
        file, self._file = self._file, None
        if file is not None:
            file[1].abort()
            self._storage.closed(file[0])

"""Another source's pictures as scenes: cropped, without what is no scene, white-hot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ladle_rt.closing import Closing
from ladle_rt.frames import Frame
from ladle_rt.sources.base import Source
from ladle_rt.sources.still_images import scene_reader
from ladle_rt.thermal.scene_reader import ReadOptions


class SceneSource(Closing):
    """Another source, each frame read by a `SceneReader`."""

    def __init__(self, source: Source, options: ReadOptions) -> None:
        """
        Args:
            source: delivers pictures; closed with this one.
            options: what they hold.

        Raises:
            InputError: the mask cannot be read, or the crop does not fit.
        """
        self.inner = source
        """Delivers the pictures."""
        try:
            self._reader = scene_reader(options, source.info.name, live=True)
            width, height = self._reader.size(source.info.width, source.info.height)
        except BaseException:
            source.close()
            raise
        self.info = replace(source.info, width=width, height=height)

    def __iter__(self) -> Iterator[Frame]:
        """Deliver the frames; those with a fault as they are.

        Raises:
            InputError: as the source; or crop or mask do not fit.
        """
        for frame in self.inner:
            if frame.fault is None:
                pixels = self._reader.read(frame.pixels, celsius=frame.celsius)
                frame = replace(frame, pixels=pixels, celsius=self._reader.celsius)
            yield frame

    def close(self) -> None:
        """Release the source; calling it twice is harmless."""
        self.inner.close()

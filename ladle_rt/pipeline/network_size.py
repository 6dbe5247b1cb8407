"""Which size the network works in where nobody said it: by command, model and frame.

A model whose targets had one look was trained to be good at many sizes, so each command uses it
with what suits it: files ``balanced``, stills ``best``, live pictures ``fast``, from where a
latency budget climbs as far as the machine keeps up. Other models know one size, their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ladle_rt.config import Quality, TranslateOptions
from ladle_rt.geometry import fit_box, network_box
from ladle_rt.models.artifact import ModelInfo

Size = tuple[int, int]
"""Height and width, pixels."""


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Chooses the box for frames of any size; sizes are (height, width), pixels."""

    options: TranslateOptions
    """``size`` or ``quality`` where the user chose."""
    info: ModelInfo
    """The model's facts."""
    usual: Quality
    """The command's own quality."""
    climbs: bool = False
    """Whether a latency budget moves the box."""

    def box(self, frame: Size) -> Size:
        """The box to begin with."""
        quality = self.options.quality or (self.usual if self._has_look else "fast")
        return self.options.size or self._named(frame, quality)

    def largest(self, frame: Size) -> Size:
        """The largest box that the run may come to: ``best`` where it climbs and may choose."""
        chosen = self.options.size or self.options.quality
        if self.climbs and self._has_look and chosen is None:
            return self._named(frame, "best")
        return self.box(frame)

    def settled(self, frame: Size) -> TranslateOptions:
        """The options with the box filled in."""
        return replace(self.options, size=self.box(frame), quality=None)

    def shapes(self, frame: Size) -> tuple[Size, ...]:
        """Inputs that the network will be given: in the box to begin with, and in the largest."""
        boxes = (self.box(frame), self.largest(frame))
        multiple = self.info.size_multiple
        return tuple(dict.fromkeys(fit_box(*frame, box, multiple).padded for box in boxes))

    @property
    def _has_look(self) -> bool:
        return self.info.look != "none"

    def _named(self, frame: Size, quality: Quality) -> Size:
        return network_box(frame, self.info.train_size, self.info.size_multiple, quality)

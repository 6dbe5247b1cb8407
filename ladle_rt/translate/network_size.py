"""Which size the network works in where nobody said it: by command, model and frame.

A model whose targets had one look was trained to be good at many sizes, so each command uses it
with what suits it: files ``balanced``, stills ``best``, live pictures ``fast``, from where a
latency budget climbs as far as the machine keeps up. Other models know one size, their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ladle_rt.config import Quality, TranslateOptions
from ladle_rt.geometry import fit_letterbox, network_box
from ladle_rt.models.artifact import ModelInfo

Size = tuple[int, int]
"""Height and width, pixels."""
STEPS = (1.0, 0.83, 0.67, 0.5)
"""Sides of the network's box, shares of the full one: the work goes with their square."""
MULTIPLE = 32


def ladder(largest: Size, first: Size) -> tuple[Size, ...]:
    """Boxes that a latency budget moves between, largest first.

    Args:
        largest: height and width of the full box.
        first: of the box to begin with, which is one of them; steps go down from both.
    """
    above = [box for box in _steps(largest) if work(box) > work(first)]
    return (*above, *_steps(first))


def work(box: Size) -> int:
    """What a box costs: the network's time goes with its area."""
    return box[0] * box[1]


def _steps(full: Size) -> list[Size]:
    """The full box and smaller ones, with sides divisible by `MULTIPLE`."""
    found = [full]
    for share in STEPS[1:]:
        height, width = (max(MULTIPLE, round(side * share / MULTIPLE) * MULTIPLE) for side in full)
        if work((height, width)) < work(found[-1]):
            found.append((height, width))
    return found


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

    def boxes(self, frame: Size) -> tuple[Size, ...]:
        """Every box that the run may come to, largest first.

        Where it climbs and may choose, the largest is that of ``best``.
        """
        first = self.box(frame)
        if not self.climbs:
            return (first,)
        free = self._has_look and self.options.size is None and self.options.quality is None
        return ladder(self._named(frame, "best") if free else first, first)

    def settled(self, frame: Size) -> TranslateOptions:
        """The options with the box filled in."""
        return replace(self.options, size=self.box(frame), quality=None)

    def shapes(self, frame: Size) -> tuple[Size, ...]:
        """Inputs that the network may be given, that of the box to begin with first."""
        boxes = (self.box(frame), *self.boxes(frame))
        multiple = self.info.size_multiple
        return tuple(dict.fromkeys(fit_letterbox(*frame, box, multiple).padded for box in boxes))

    @property
    def _has_look(self) -> bool:
        return self.info.look != "none"

    def _named(self, frame: Size, quality: Quality) -> Size:
        return network_box(frame, self.info.train_size, self.info.size_multiple, quality)

"""What a person looks at: colour, thermal, or both side by side."""

from __future__ import annotations

from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import to_rgb
from ladle_rt.errors import ConfigError
from ladle_rt.frames import TranslatedFrame
from ladle_rt.thermal.thermal_view import ThermalView

ViewLayout = Literal["colour", "thermal", "side-by-side"]
LAYOUTS: tuple[ViewLayout, ...] = get_args(ViewLayout)


class View:
    """Composes pictures; usable from any thread."""

    def __init__(self, thermal: ThermalView, layout: ViewLayout = "colour") -> None:
        """
        Args:
            thermal: makes the thermal picture, where one is shown; belongs to this object.
            layout: what to show.

        Raises:
            ConfigError: no such layout.
        """
        if layout not in LAYOUTS:
            raise ConfigError(f"layout must be one of {LAYOUTS}, received {layout!r}")
        self.thermal = thermal
        self.layout: ViewLayout = layout

    def next_layout(self) -> ViewLayout:
        """Go over to the next layout and name it."""
        self.layout = LAYOUTS[(LAYOUTS.index(self.layout) + 1) % len(LAYOUTS)]
        return self.layout

    def compose(self, translated: TranslatedFrame) -> npt.NDArray[np.uint8]:
        """One picture.

        Returns:
            HxWx3 uint8, sRGB, owned by the caller unless the picture is ``rgb24``.
        """
        layout = self.layout
        if layout == "colour":
            return to_rgb(translated.picture)
        thermal = self.thermal.rgb(translated)
        if layout == "thermal":
            return thermal
        colour = to_rgb(translated.picture)
        # A picture of an odd frame is smaller by a pixel.
        height, width = (min(sides) for sides in zip(thermal.shape[:2], colour.shape, strict=False))
        both: Any = cv2.hconcat([thermal[:height, :width], colour[:height]])
        return both  # type: ignore[no-any-return]

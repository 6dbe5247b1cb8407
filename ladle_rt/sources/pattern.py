"""The test pattern as a camera: ``synthetic[:WxH][@FPS]``."""

from __future__ import annotations

import re

from ladle_rt.errors import InputError
from ladle_rt.sources.base import Source, SourceOptions
from ladle_rt.sources.pacing import LoopSource, RealtimeSource
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource

SECONDS = 20.0
"""Length of the drive that is repeated."""


def open_pattern(form: str, options: SourceOptions) -> Source:
    """Drive without end, at the pattern's own pace.

    Args:
        form: ``WxH@FPS``, any part of it, or nothing.
        options: ``width``, ``height`` and ``fps`` count where ``form`` does not say.

    Raises:
        InputError: not such a form.
    """
    found = re.fullmatch(r"(?:(\d+)x(\d+))?(?:@(\d+))?", form)
    if found is None:
        raise InputError(f"synthetic:{form}: expected synthetic[:WIDTHxHEIGHT][@FPS]")
    names = ("width", "height", "rate")
    asked: dict[str, int | None] = {"width": options.width, "height": options.height}
    asked["rate"] = None if options.fps is None else max(1, round(options.fps))
    for name, part in zip(names, found.groups(), strict=True):
        asked[name] = asked[name] if part is None else int(part)
    given = {name: value for name, value in asked.items() if value is not None}
    drive = DriveOptions(seconds=SECONDS, **given)
    return RealtimeSource(LoopSource(lambda: SyntheticSource(drive)))

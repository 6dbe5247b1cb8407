"""How large a frame of a video may be: a small file or stream can ask for any number of pixels."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.datasets.read_image import LIMIT, pixel_limit
from ladle_rt.errors import InputError


def bounded() -> dict[str, str]:
    """Options for FFmpeg's decoders, while an input is probed and while it is read."""
    return {"max_pixels": str(pixel_limit())}


def nothing_decoded(path: Path) -> InputError:
    """What to say where no frame came out: FFmpeg does not tell damage from a frame too large."""
    return InputError(
        f"{path}: no frame could be decoded; the file is damaged or empty, or its frames have more "
        f"than {pixel_limit()} pixels (raise {LIMIT})"
    )

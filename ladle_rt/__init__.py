"""Thermal-infrared video to natural-looking colour video, in real time.

The colours are synthesised by a network, not measured. What is offered here is described in
`ladle_rt.api`, which is loaded when the first of it is used.
"""

import os
from typing import TYPE_CHECKING

# ONNX Runtime keeps a device id and a queue of events to send, from its import on, unless this
# is set before. Set it to 0 to leave it on.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A small file can hold any number of pixels. 33 million are twenty-five times the largest thermal
# sensor on the market and a mosaic of many; OpenCV reads its limit when it is imported, and
# `ladle_rt.datasets.read_image.pixel_limit` is for everything else.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 25))

# Of a damaged picture OpenCV says in lines of its own source what ours say in one.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

if TYPE_CHECKING:
    from ladle_rt.api import (
        Colorizer,
        Frame,
        FrameStats,
        Isotherm,
        LadleError,
        ReadOptions,
        TranslatedFrame,
        TranslateOptions,
        VideoEncoding,
        VideoResult,
        load,
        read_video,
        translate_images,
        translate_video,
    )

__version__ = "0.4.0"

__all__ = [
    "Colorizer",
    "Frame",
    "FrameStats",
    "Isotherm",
    "LadleError",
    "ReadOptions",
    "TranslateOptions",
    "TranslatedFrame",
    "VideoEncoding",
    "VideoResult",
    "__version__",
    "load",
    "read_video",
    "translate_images",
    "translate_video",
]

# Type checkers see the imports above, and complain of names that are not there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ladle_rt import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

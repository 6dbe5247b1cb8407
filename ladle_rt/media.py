"""Opening media to read, whatever bytes its tags hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from av.container import InputContainer

# Before PyAV 19 a tag that is not UTF-8 raises unless told; since then it is kept, and the
# option is gone.
_READING: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
)

DECODING_FAILS = (av.FFmpegError, ValueError)
"""What decoding raises: ValueError, since PyAV 19, where a decoder could not be opened."""


def open_media(file: Any, **options: Any) -> InputContainer:
    """`av.open` to read.

    Args:
        file: name, address, or an open binary file.
        options: as of `av.open`.

    Raises:
        As of `av.open`: av.FFmpegError, OSError.
    """
    container: InputContainer = av.open(file, "r", **options, **_READING)
    return container

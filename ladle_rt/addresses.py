"""Addresses as people may see them: without credentials."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*(?:@[^/@\s]*)*@")
_SECRET_PARAMETERS = re.compile(
    r"(?i)(?<=[?&])((?:[^=&\s]*(?:pass|pwd|token|secret|key|auth|user)[^=&\s]*)=)[^&\s]*"
)


def masked(text: str) -> str:
    """A text with the credentials of every address in it replaced by ``***``.

    Args:
        text: an address such as ``rtsp://user:secret@host/x``, or any message that holds some.
    """
    return _SECRET_PARAMETERS.sub(r"\1***", _CREDENTIALS.sub("***@", text))

"""What a ``with`` block closes."""

from __future__ import annotations

from typing import TypeVar

_Own = TypeVar("_Own", bound="Closing")


class Closing:
    """Gives itself to a ``with`` block, and closes at its end whatever happened."""

    def close(self) -> None:
        """Release what is held; calling it twice is harmless."""
        raise NotImplementedError

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

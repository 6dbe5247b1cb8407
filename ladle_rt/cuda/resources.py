"""What has to be given back, in the opposite order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ResourceStack:
    """Things of the GPU that one object owns; each is given back exactly once.

    Unlike `contextlib.ExitStack` it raises the first of several errors: when the GPU is lost,
    that one says how, and the others follow from it.
    """

    def __init__(self) -> None:
        self._callbacks: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def callback(self, give_back: Callable[..., object], *args: Any) -> None:
        """Remember how something is given back."""
        self._callbacks.append((give_back, args))

    def close(self) -> None:
        """Give everything back, last things first; calling it twice is harmless.

        Raises:
            BackendError: something could not be given back; all the rest was.
        """
        first: Exception | None = None
        while self._callbacks:
            give_back, args = self._callbacks.pop()
            try:
                give_back(*args)
            except Exception as error:
                first = first or error
        if first is not None:
            raise first

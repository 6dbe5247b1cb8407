"""What every place for recordings and videos offers.

What is written appears whole or not at all. Clocks of other machines are never compared: a file's
`Entry.mark` only says whether it is still the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a store."""

    name: str
    """Relative to the store's root, with slashes."""
    size: int
    """Bytes."""
    mark: str
    """Another one for another content: the store's ETag, or the time of change."""


class Store(Protocol):
    """A folder of files."""

    @property
    def root(self) -> str:
        """Its URL or path."""

    def walk(self) -> Iterator[Entry]:
        """Files in it and below, hidden ones left out, in the order of their names.

        Raises:
            InputError: it cannot be listed.
        """

    def names(self, folder: str) -> list[str]:
        """Names of the files directly in a folder; empty where there is none.

        Raises:
            InputError: it cannot be listed.
        """

    def find(self, name: str) -> Entry | None:
        """One file; ``None`` where there is none.

        Raises:
            InputError: the store does not answer, or refuses.
        """

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            InputError: it cannot be read.
        """

    def fetch(self, name: str, scratch: Path) -> Path:
        """A file on this machine's disk: itself, or a copy in ``scratch``.

        Raises:
            InputError: it cannot be read.
        """

    def put(self, local: Path, name: str) -> None:
        """Move a finished file into the store; a former one is replaced.

        Raises:
            OutputError: it cannot be written.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a small file; a former one is replaced.

        Raises:
            OutputError: it cannot be written.
        """

    def remove(self, folder: str) -> None:
        """Remove a folder and what is in it, if it exists.

        Raises:
            OutputError: it cannot be removed.
        """

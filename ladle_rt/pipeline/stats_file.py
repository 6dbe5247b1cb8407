"""The live figures as JSON lines, one row a second and the last one at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ladle_rt import files
from ladle_rt.errors import OutputError


class StatsFile:
    """Grows row by row under its own name, so that it can be followed; rows are whole."""

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        """
        Raises:
            OutputError: the file cannot be written here.
        """
        files.check_target(path, overwrite=overwrite)
        self._path = path
        try:
            # Exclusive: another run may have made it since it was checked.
            self._file = path.open("w" if overwrite else "x", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OutputError: it cannot be written; no more rows can be.
        """
        try:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        except OSError as error:
            # What is still buffered would fail once more at the end.
            with suppress(OSError):
                self._file.close()
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close the file; calling it twice is harmless."""
        self._file.close()

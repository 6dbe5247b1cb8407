"""Files in a folder of this machine."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from ladle_rt import files
from ladle_rt.archive.store import Entry
from ladle_rt.errors import InputError, InputNotFoundError, OutputError


class FolderStore:
    """A `Store` in a folder of this machine, or one that is mounted alike on all."""

    def __init__(self, folder: Path) -> None:
        # Workers may have been started in another folder.
        self._folder = folder.absolute()

    @property
    def root(self) -> str:
        return str(self._folder)

    def walk(self) -> Iterator[Entry]:
        def refuse(error: OSError) -> None:
            raise InputError(f"{error.filename}: cannot be listed ({error.strerror})") from error

        for place, folders, names in os.walk(self._folder, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(place, name)
                if not name.startswith(".") and path.is_file():
                    yield self._entry(path)

    def names(self, folder: str) -> list[str]:
        try:
            found = os.listdir(self._folder / folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be listed ({error.strerror})") from error
        return sorted(name for name in found if not name.startswith("."))

    def find(self, name: str) -> Entry | None:
        path = self._folder / name
        try:
            return self._entry(path) if path.is_file() else None
        except OSError as error:
            raise InputError(f"{path}: cannot be looked at ({error.strerror})") from error

    def read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error

    def fetch(self, name: str, scratch: Path) -> Path:
        path = self._folder / name
        if not path.is_file():
            raise InputNotFoundError(
                f"{path}: no such file on this machine ({platform.node()}); mount it alike on "
                "every node, or name it by URL"
            )
        return path

    def put(self, local: Path, name: str) -> None:
        target = self._target(name)
        with files.atomic_path(target) as part:
            try:
                os.replace(local, part)
            except OSError:
                # Another file system.
                shutil.copyfile(local, part)
                local.unlink()

    def write(self, name: str, data: bytes) -> None:
        files.write_whole(self._target(name), lambda part: part.write_bytes(data))

    def remove(self, folder: str) -> None:
        place = self._folder / folder
        try:
            if place.is_dir():
                shutil.rmtree(place)
        except OSError as error:
            raise OutputError(f"{place}: cannot be removed ({error.strerror})") from error

    def _target(self, name: str) -> Path:
        target = self._folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{target.parent}: cannot be made ({error.strerror or error})"
            ) from error
        return target

    def _entry(self, path: Path) -> Entry:
        facts = path.stat()
        name = path.relative_to(self._folder).as_posix()
        return Entry(name, facts.st_size, str(facts.st_mtime_ns))

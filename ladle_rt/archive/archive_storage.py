"""Files by URL: plain folders by themselves, everything else by fsspec.

What is written appears whole or not at all. Clocks of other machines are never compared: a file's
`Entry.mark` only says whether it is still the same.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ladle_rt import files
from ladle_rt.addresses import masked
from ladle_rt.archive.sftp import open_sftp
from ladle_rt.errors import InputError, InputNotFoundError, LadleError, OutputError, require

T = TypeVar("T")

WHOLE_BY_NATURE = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}
"""Object stores: an upload is visible when it is finished. Elsewhere it is renamed at its end."""


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


def open_store(url: str) -> Store:
    """The store at a path or URL; nothing is looked at yet.

    Raises:
        MissingDependencyError: a URL, and fsspec or the driver of its scheme is not installed.
        InputError: an unknown scheme, or what its driver refuses.
    """
    if "://" not in url or url.startswith("file://"):
        return FolderStore(Path(url.removeprefix("file://")))
    return UrlStore(url)


def split_file(url: str) -> tuple[str, str]:
    """Store and name of a file; no name where a URL is a whole bucket or host."""
    _, scheme, rest = url.partition("://")
    if scheme and "/" not in rest.strip("/"):
        return url, ""
    folder, _, name = url.rstrip("/").rpartition("/")
    return (folder or "/" if "/" in url else "."), name


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


class UrlStore:
    """A `Store` by fsspec: S3, Google Cloud Storage, SFTP, and what else has a driver installed."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            MissingDependencyError, InputError: see `open_store`.
        """
        fsspec: Any = require("fsspec", "scale")
        self._url = url.rstrip("/")
        self._scheme = url.partition("://")[0]
        try:
            if self._scheme in ("sftp", "ssh"):
                self._fs, self._path = open_sftp(self._url)
            else:
                # Listings are asked for anew: other workers write meanwhile.
                self._fs, self._path = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
        except LadleError:
            raise
        except ImportError as error:
            require(error.name or self._scheme, "scale")
            raise
        except Exception as error:
            raise InputError(f"{masked(url)}: cannot be used ({_reason(error)})") from error

    @property
    def root(self) -> str:
        return self._url

    def walk(self) -> Iterator[Entry]:
        found = self._asked(
            "listed", lambda: self._fs.find(self._path, detail=True), InputError, default={}
        )
        for path in sorted(found):
            name = path[len(self._path) :].lstrip("/")
            if name and not any(part.startswith(".") for part in name.split("/")):
                yield _entry(name, found[path])

    def names(self, folder: str) -> list[str]:
        found = self._asked(
            "listed",
            lambda: self._fs.ls(f"{self._path}/{folder}", detail=False),
            InputError,
            default=[],
        )
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def find(self, name: str) -> Entry | None:
        facts = self._asked("looked at", lambda: self._fs.info(self._at(name)), InputError, {})
        return _entry(name, facts) if facts and facts.get("type") == "file" else None

    def read(self, name: str) -> bytes:
        data: bytes = self._asked("read", lambda: self._fs.cat_file(self._at(name)), InputError)
        return data

    def fetch(self, name: str, scratch: Path) -> Path:
        local = scratch / name.rpartition("/")[2]
        self._asked("read", lambda: self._fs.get_file(self._at(name), str(local)), InputError)
        return local

    def put(self, local: Path, name: str) -> None:
        def upload() -> None:
            target = self._at(name)
            if self._scheme in WHOLE_BY_NATURE:
                self._fs.put_file(str(local), target)
            else:
                part = f"{target}.part"
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._fs.put_file(str(local), part)
                self._fs.mv(part, target)

        self._asked("written", upload, OutputError)
        local.unlink()

    def write(self, name: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="ladle-rt-") as folder:
            local = Path(folder, "data")
            local.write_bytes(data)
            self.put(local, name)

    def remove(self, folder: str) -> None:
        place = f"{self._path}/{folder}"
        self._asked("removed", lambda: self._fs.rm(place, recursive=True), OutputError, None)

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _asked(
        self, done: str, ask: Callable[[], T], error: type[LadleError], default: Any = ...
    ) -> T:
        """Ask the driver. Each has errors of its own; here they become those of this program."""
        try:
            return ask()
        except FileNotFoundError as missing:
            if default is not ...:
                answer: T = default
                return answer
            raise error(f"{masked(self._url)}: cannot be {done} ({_reason(missing)})") from missing
        except Exception as failure:
            raise error(f"{masked(self._url)}: cannot be {done} ({_reason(failure)})") from failure


def _entry(name: str, facts: dict[str, Any]) -> Entry:
    mark = facts.get("ETag") or facts.get("etag") or facts.get("mtime") or facts.get("updated")
    return Entry(name, int(facts.get("size") or 0), str(mark))


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

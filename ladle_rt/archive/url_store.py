"""Files by URL, through fsspec."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ladle_rt.addresses import masked
from ladle_rt.archive.sftp import open_sftp
from ladle_rt.archive.store import Entry
from ladle_rt.errors import InputError, LadleError, OutputError, require

T = TypeVar("T")

WHOLE_BY_NATURE = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}
"""Object stores: an upload is visible when it is finished. Elsewhere it is renamed at its end."""


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

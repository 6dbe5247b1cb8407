"""Stores by path or URL: plain folders by themselves, everything else by fsspec."""

from __future__ import annotations

from pathlib import Path

from ladle_rt.archive.folder_store import FolderStore
from ladle_rt.archive.store import Store
from ladle_rt.archive.url_store import UrlStore


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

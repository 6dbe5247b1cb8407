"""What an archive job is, and which recordings it holds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ladle_rt import __version__
from ladle_rt.addresses import masked
from ladle_rt.archive.archive_storage import open_store, split_file
from ladle_rt.archive.store import Entry
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ConfigError, InputError, InputNotFoundError
from ladle_rt.thermal.scene_reader import ReadOptions

VIDEOS = {
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".nut", ".ogv", ".ts", ".webm", ".wmv", ".y4m"),
}
"""Extensions that are taken from folders; a file that is named itself may have any."""
NOT_IN_THE_PICTURE = frozenset(
    ("backend", "cuda", "drift_warning", "engines", "gpu", "remote", "threads", "warm_start")
)
"""Options that decide how pictures are made, not what they look like: changing them translates
nothing again."""
SHORTEST_SEGMENT_S = 1.0


@dataclass(frozen=True, slots=True)
class Archive:
    """What to translate, alike for every recording; goes to every worker."""

    target: str
    """Folder or URL that gets the videos."""
    model_sha256: str
    """Of the graph."""
    options: TranslateOptions = field(default_factory=TranslateOptions)
    """What happens to the frames."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What the recordings hold."""
    container: Literal["mp4", "mkv"] = "mp4"
    """Of the videos."""
    segment_s: float = 60.0
    """Length of the segments, seconds: what a kill may cost at most, on each worker."""
    version: str = __version__
    """Of the program that made the plan; workers of another one refuse it."""

    def __post_init__(self) -> None:
        if not self.segment_s >= SHORTEST_SEGMENT_S:
            raise ConfigError(
                f"segments must be >= {SHORTEST_SEGMENT_S:g} s long, received {self.segment_s:g}"
            )
        if self.options.start_s or self.options.duration_s is not None:
            raise ConfigError("an archive is translated whole; leave --start and --duration out")

    def key(self, recording: Recording) -> str:
        """The same for the same input, model and picture, in hex."""
        options = dataclasses.asdict(self.options)
        facts = {
            "source": (recording.url, recording.size, recording.mark),
            "model": self.model_sha256,
            "options": {k: v for k, v in options.items() if k not in NOT_IN_THE_PICTURE},
            "read": dataclasses.asdict(self.read),
        }
        text = json.dumps(facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Recording:
    """One thermal recording of the archive."""

    url: str
    """Where it is."""
    target: str
    """Name of its video within the target, with slashes."""
    size: int
    """Bytes."""
    mark: str
    """See `Entry.mark`."""


def find_recordings(
    sources: tuple[str, ...], target: str, container: str
) -> tuple[list[Recording], list[Recording]]:
    """The recordings of files and folders.

    Args:
        sources: paths and URLs of files, and of folders whose videos are meant, those in folders
            below too.
        target: where the videos go; below a source it is not looked into.
        container: extension of the videos, without the dot.

    Returns:
        Those to translate, in the order of their names; and those whose video would have the
        same name as another one's.

    Raises:
        InputError: a source that cannot be listed; `InputNotFoundError`: that does not exist.
        ConfigError: recordings lie in the target.
    """
    place = open_store(target).root.rstrip("/")
    found: dict[str, Recording] = {}
    for source in sources:
        for root, entry in _entries(source):
            url = f"{root}/{entry.name}"
            made_here = place.startswith(f"{root}/") and url.startswith(f"{place}/")
            if not made_here:
                stem = entry.name.rpartition(".")[0] or entry.name
                found[url] = Recording(url, f"{stem}.{container}", entry.size, entry.mark)
    for one in found.values():
        if f"{place}/{one.target}" in found or one.url.rpartition("/")[0] == place:
            raise ConfigError(
                f"{masked(one.url)}: its folder is the target too; choose another target, so that "
                "recordings and videos are not mixed up"
            )
    recordings = sorted(found.values(), key=lambda one: (one.target, one.url))
    if not recordings:
        raise InputError(f"{' '.join(map(masked, sources))}: expected recordings, found none")
    # A file system that ignores case would take two such names for one.
    names = Counter(one.target.casefold() for one in recordings)
    single = [one for one in recordings if names[one.target.casefold()] == 1]
    return single, [one for one in recordings if names[one.target.casefold()] > 1]


def _entries(source: str) -> Iterator[tuple[str, Entry]]:
    root, name = split_file(source)
    file = open_store(root).find(name) if name not in ("", ".", "..") else None
    if file is not None:
        yield open_store(root).root, file
        return
    folder = open_store(source)
    if "://" not in source and not Path(source).is_dir():
        raise InputNotFoundError(f"{source}: no such file or folder")
    for entry in folder.walk():
        if Path(entry.name).suffix.lower() in VIDEOS:
            yield folder.root, entry

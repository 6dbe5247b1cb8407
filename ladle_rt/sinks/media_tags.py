"""What a media file says of itself, carried over: date, place, camera, comments, chapters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt.frames import MediaPart
from ladle_rt.media import open_media

logger = logging.getLogger("ladle_rt")

OF_THE_FILE = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "software",
    "duration",
    "rotate",
}
"""Tags about how the old file was written, wrong in the new one."""
KEEPS_ANY_TAG = {"mp4", "mov"}
"""Containers that keep tags outside their own list only when told to."""


class MediaTags:
    """Tags and chapters of one input, on their way into one output."""

    def __init__(self, media: MediaPart, container: str) -> None:
        """
        Args:
            media: where they are, and which part of it is translated.
            container: FFmpeg's name of the output's format.
        """
        self._media = media
        self._container = container
        with open_media(str(media.path.absolute())) as source:
            self._tags = {
                key: _once(value)
                for key, value in source.metadata.items()
                if key.lower() not in OF_THE_FILE and not _repeats(key, source.metadata)
            }
            chapters: list[Any] = source.chapters() if hasattr(source, "chapters") else []
            self._chapters = [one for each in chapters if (one := self._moved(each)) is not None]
            others = {one.type for one in source.streams} - {"video", "audio"}
        if chapters:
            # MP4 keeps their titles in a stream of their own.
            others.discard("data")
        if others:
            logger.warning("%s: %s not carried over", media.path.name, " and ".join(sorted(others)))

    def add_options(self, options: dict[str, str]) -> None:
        """Add what the muxer must be told to keep the tags."""
        if self._tags and self._container in KEEPS_ANY_TAG:
            flags = options.get("movflags")
            options["movflags"] = "+".join(filter(None, (flags, "use_metadata_tags")))

    def write(self, output: Any) -> None:
        """Put them into an open container, before its first packet."""
        output.metadata.update(self._tags)
        if self._chapters and hasattr(output, "set_chapters"):
            output.set_chapters(self._chapters)

    def warn_lost(self, file: Path) -> None:
        """Say what is not in the finished file: only reading it back knows."""
        if not self._tags and not self._chapters:
            return
        with suppress(av.FFmpegError), open_media(str(file.absolute())) as written:
            kept = {key.lower() for key in written.metadata}
            chapters = len(written.chapters()) if hasattr(written, "chapters") else 0
            lost = sorted(key for key in self._tags if key.lower() not in kept)
            if chapters < len(self._chapters):
                lost.append("chapters")
            if lost:
                logger.warning(
                    "%s: %s cannot be kept in %s",
                    *(self._media.path.name, ", ".join(lost), self._container),
                )

    def _moved(self, chapter: Mapping[str, Any]) -> dict[str, Any] | None:
        """A chapter in output time; ``None`` for one outside the part."""
        base = Fraction(chapter["time_base"])
        media = self._media
        start, end = (int(chapter[name]) * base - media.origin_s for name in ("start", "end"))
        start = max(start, media.begin_s or Fraction(0))
        end = end if media.end_s is None else min(end, media.end_s)
        if end <= start:
            return None
        return {**chapter, "start": round(start / base), "end": round(end / base)}


def _once(value: str) -> str:
    """FFmpeg 9 joins what a MOV says of one thing in two places: ``2024-05-06;2024-05-06``."""
    parts = set(value.split(";"))
    return parts.pop() if len(parts) == 1 else value


def _repeats(key: str, tags: Mapping[str, str]) -> bool:
    """Whether a tag is the language's own copy of another: ``location-eng``."""
    name, dash, _ = key.rpartition("-")
    return bool(dash) and tags.get(name) == tags[key]

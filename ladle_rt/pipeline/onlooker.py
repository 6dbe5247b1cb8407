"""What a program around a stream sees of it, and adds to it: a page of many cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ladle_rt.frame_stats import FrameStats
from ladle_rt.sinks.base import Controls, Sink, SinkContext
from ladle_rt.sinks.switches import Switch


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """A stream whose source and outputs are open."""

    context: SinkContext
    """What its pictures will be like, for recordings that may begin at any moment."""
    controls: Controls
    """What a person may do; from any thread."""
    switches: Sequence[Switch]
    """What a person may turn."""
    failures: Callable[[], Sequence[str]]
    """Outputs that ended early so far, one line each; from any thread."""


class Onlooker(Protocol):
    """Called in the stream's own thread, once each."""

    def begin(self, figures: Callable[[], FrameStats]) -> None:
        """Before the source is opened.

        Args:
            figures: of any moment from now on; from any thread.
        """

    def open(self, stream: OpenedStream) -> Sequence[Sink]:
        """When it is open.

        Returns:
            Further sinks, which belong to the stream from then on.

        Raises:
            OutputError: one of them cannot be opened.
        """

"""Where a recording can be cut, found by reading its packets without decoding them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from ladle_rt.archive.plan import Archive
from ladle_rt.config import TranslateOptions
from ladle_rt.sources.container import fraction, open_input, video_stream
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.scene_reader import ReadOptions

WARM_LEVELS = 12.0
"""Time constants of the thermal levels that a run watches before its first segment: what they
were taken to be at the start counts for exp(-12), 6 millionths, then."""
WARM_PICTURES = 128
"""Frames that are translated before the first segment where flicker is suppressed. Of what was
shown before them at most 0.95 ** 128 is left, a third of one of 255 steps; see
`ladle_rt.translate.steady`."""
ONE_FRAME_A_PACKET = {
    *("dnxhd", "ffv1", "ffvhuff", "h264", "hevc", "huffyuv"),
    *("mjpeg", "mpeg4", "png", "prores", "rawvideo", "utvideo"),
}
"""Codecs whose packets tell the times of all frames."""
BEGINNING = -(2**62)
"""Earlier than every time of a frame, in ticks."""
LONGEST_REORDER_S = 1
"""A step back in time by more is a joined recording, whose times depend on all before."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames that follow each other, in a file of their own until they are joined."""

    number: int
    """From 0."""
    first_pts: int
    """Time of its first frame, in the recording's ticks."""
    frames: int | None
    """How many; ``None``: unknown before they are decoded."""
    border_s: float
    """Half a frame before its first one, seconds from the recording's start."""
    warm_s: float
    """Where reading begins for a run that begins here, seconds from the recording's start."""
    pictures_pts: int
    """Time of the first frame that such a run translates, in ticks."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a recording before it is translated."""

    height: int
    """Of its first frame, pixels."""
    width: int
    """Of its first frame, pixels."""
    origin_ticks: int
    """Time in the file that is presentation time 0."""
    tick: tuple[int, int]
    """Seconds, as numerator and denominator."""
    length_s: float
    """Seconds; 0 where unknown."""
    segments: tuple[Segment, ...]
    """At least one."""
    why_whole: str = ""
    """Why it is one segment though it is long; empty otherwise."""

    @property
    def origin_s(self) -> Fraction:
        """Time in the file that is presentation time 0, seconds."""
        return self.origin_ticks * Fraction(*self.tick)


def survey(path: Path, archive: Archive) -> Survey:
    """Look at a recording.

    Args:
        path: on this machine's disk.
        archive: what is to be done with it.

    Raises:
        InputError: it cannot be used.
    """
    options, read = archive.options, archive.read
    with VideoSource(path, allow_colour=options.allow_colour, read=read) as source:
        info = source.info
        origin_s = Fraction(0) if info.media is None else info.media.origin_s
    why = _depends_on_all_before(options, read)
    times: list[int] = []
    zero_s = Fraction(0)
    if not why:
        times, zero_s, why = _times(path, read)
    length_s = info.duration_s or 0.0
    origin = int(origin_s / info.time_base)
    about = info.height, info.width, origin, info.time_base.as_integer_ratio(), length_s
    if why:
        return Survey(*about, (Segment(0, BEGINNING, None, 0.0, 0.0, BEGINNING),), why)
    cuts = _cuts(times, info.time_base, archive.segment_s)
    segments = tuple(
        _segment(number, cut, end, times, info.time_base, zero_s, origin, options)
        for number, (cut, end) in enumerate(zip(cuts, [*cuts[1:], len(times)], strict=True))
    )
    return Survey(*about, segments)


def _depends_on_all_before(options: TranslateOptions, read: ReadOptions) -> str:
    """Why no frame can be translated without all before it; empty: a few seconds suffice."""
    if "auto" in (read.polarity, read.from_palette):
        return "the first frames say what the recording holds"
    if options.dead_pixels:
        return "dead pixels are found over all frames"
    return "unchanged frames are counted from the first one" if options.skip_unchanged else ""


def _times(path: Path, read: ReadOptions) -> tuple[list[int], Fraction, str]:
    """Frame times in ticks, increasing; the container's start; why they cannot be relied on."""
    found: list[int] = []
    with open_input(path) as container:
        stream = video_stream(container, path, read.track)
        zero_s = Fraction(container.start_time or 0, av.time_base)
        if stream.codec_context.name not in ONE_FRAME_A_PACKET:
            return [], zero_s, f"packets of {stream.codec_context.name} do not tell every frame"
        reorder = LONGEST_REORDER_S / (fraction(stream.time_base) or Fraction(1, 90_000))
        newest = BEGINNING
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.pts is None:
                    return [], zero_s, "frames have no times"
                if packet.is_corrupt or packet.pts < newest - reorder:
                    return [], zero_s, "its times jump, or it is damaged"
                newest = max(newest, packet.pts)
                found.append(packet.pts)
        except av.FFmpegError:
            return [], zero_s, "it is damaged"
    found.sort()
    if not found or len(set(found)) < len(found):
        return [], zero_s, "several frames have one time"
    return found, zero_s, ""


def _cuts(times: list[int], time_base: Fraction, segment_s: float) -> list[int]:
    """Indices of the first frames of segments; the last one is at least half as long."""
    step = segment_s / float(time_base)
    cuts = [0]
    while (nominal := times[cuts[-1]] + step) + step / 2 <= times[-1]:
        # Past a gap the next frame there is begins the segment.
        cuts.append(bisect_left(times, nominal))
    return cuts


def _segment(
    number: int,
    cut: int,
    end: int,
    times: list[int],
    time_base: Fraction,
    zero_s: Fraction,
    origin: int,
    options: TranslateOptions,
) -> Segment:
    if not cut:
        return Segment(number, BEGINNING, end, 0.0, 0.0, BEGINNING)

    def before(index: int) -> float:
        """Half a frame before a frame, where no rounding reaches either."""
        half = Fraction(times[index - 1] + times[index], 2) if index else Fraction(times[0])
        return max(0.0, float(half * time_base - zero_s))

    first_picture = max(0, cut - (WARM_PICTURES if options.steady else 1))
    watched_s = WARM_LEVELS * max(1.0, options.smoothing_s)
    first_watched = bisect_right(times, times[cut] - watched_s / float(time_base))
    first_watched = max(0, min(first_watched, first_picture))
    return Segment(
        number,
        times[cut] - origin,
        end - cut,
        before(cut),
        before(first_watched) if first_watched else 0.0,
        times[first_picture] - origin,
    )

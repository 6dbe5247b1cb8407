"""Which encoder a video file gets, checked before any work."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ladle_rt.config import VideoEncoding
from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.sinks.gstreamer_elements import ELEMENTS, require_element

logger = logging.getLogger("ladle_rt")
choice = logging.getLogger("ladle_rt.engine")
"""What was chosen on this machine, and why."""

H264_LIKE = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf", "mpeg4")
"""Tried in this order; the last is part of every FFmpeg build."""
WEB = ("libvpx-vp9", "libsvtav1")
FORMATS = {
    ".mp4": ("mp4", H264_LIKE),
    ".m4v": ("mp4", H264_LIKE),
    ".mov": ("mov", H264_LIKE),
    ".mkv": ("matroska", H264_LIKE),
    ".avi": ("avi", H264_LIKE),
    ".ts": ("mpegts", H264_LIKE),
    ".webm": ("webm", WEB),
}
"""By extension: FFmpeg's name of the container and the encoders to try."""
ALIASES = {
    "h264": "libx264",
    "h265": "libx265",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
}
CRF_AND_PRESET: dict[str, tuple[int | None, str | None]] = {
    "libx264": (19, "veryfast"),
    "libx265": (23, "veryfast"),
    "libvpx-vp9": (31, None),
    "libsvtav1": (32, "10"),
}
"""Defaults of the encoders that take a constant rate factor (and a preset)."""
FIXED_OPTIONS = {
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "mjpeg": {"strict": "unofficial"},
    "mpeg4": {"flags": "qscale", "global_quality": str(3 * 118)},
}
"""VP9 is slow unless told to hurry; Motion JPEG takes limited range only when told that this
is unusual; MPEG-4 gets constant quality 3."""
LIVE = {
    "h264_nvenc": {"preset": "p3", "tune": "ll", "rc": "vbr", "cq": "23"},
    "nvv4l2h264enc": {},
    "h264_v4l2m2m": {"b": "4M"},
    "libx264": {"preset": "superfast", "tune": "zerolatency", "crf": "21"},
    "libopenh264": {"b": "4M"},
    "mpeg4": FIXED_OPTIONS["mpeg4"],
}
"""Encoders for live video in the order they are tried, with options for low delay: hardware of
desktop GPUs, of Jetsons (through GStreamer: FFmpeg does not reach it), of other single-board
computers, software."""
MPEG4_TICKS = 60_000
"""MPEG-4 Part 2 stores its ticks per second in 16 bits."""


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """An encoder that was tried and opens."""

    container: str
    """FFmpeg's name of the container format."""
    codec: str
    """FFmpeg's encoder name, or one of `ELEMENTS`."""
    options: dict[str, str]
    """Encoder options."""
    pixel_format: str
    """What the encoder takes: yuv420p where it can."""

    def time_base(self, wanted: Fraction, rate: Fraction) -> Fraction:
        """The tick to encode with: the source's own wherever format and codec allow."""
        if self.container == "avi":
            return 1 / rate
        if self.codec == "mpeg4" and wanted.denominator > MPEG4_TICKS:
            return Fraction(1, MPEG4_TICKS)
        return wanted


def plan_encoder(path: Path, encoding: VideoEncoding) -> EncoderPlan:
    """Choose an encoder for a file name and try it on a small picture.

    Raises:
        OutputError: unknown file extension.
        ConfigError: no such encoder, not for this container, or it refuses its settings.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f"{path}: expected one of {' '.join(FORMATS)}, received {suffix or 'no extension'}"
        )
    container, candidates = FORMATS[suffix]
    if encoding.codec is not None:
        codec = ALIASES.get(encoding.codec.lower(), encoding.codec)
        return _try(container, codec, encoding, path)
    reasons = []
    for codec in candidates:
        try:
            plan = _try(container, codec, encoding, path)
        except ConfigError as error:
            # A wrong setting is the user's, an encoder that is not there is not.
            if codec in av.codecs_available and codec == candidates[0]:
                raise
            reasons.append(str(error))
            continue
        if codec != candidates[0]:
            logger.warning("encoder %s is not available here; %s is used", candidates[0], codec)
        return plan
    raise ConfigError(f"no usable encoder for {suffix}: {'; '.join(reasons)}")


def plan_live_encoder(container: str) -> EncoderPlan:
    """Choose the first of `LIVE` that really opens, and say which and why.

    Args:
        container: FFmpeg's name of the format.

    Raises:
        ConfigError: none does.
    """
    reasons = []
    for codec, options in LIVE.items():
        try:
            plan = _open_once(container, codec, dict(options), container)
        except ConfigError:
            reasons.append(codec)
            continue
        why = f", because {' and '.join(reasons)} cannot be opened here" if reasons else ""
        choice.info("encoder %s%s", codec, why)
        return plan
    raise ConfigError(f"no encoder for {container} opens here; tried {', '.join(reasons)}")


def opens(container: str, codec: str) -> bool:
    """Whether an encoder of `LIVE` opens on this machine."""
    try:
        _open_once(container, codec, dict(LIVE[codec]), container)
    except ConfigError:
        return False
    return True


def _try(container: str, codec: str, encoding: VideoEncoding, path: Path) -> EncoderPlan:
    return _open_once(container, codec, _options(codec, encoding), f"{path.suffix} files")


def _open_once(container: str, codec: str, options: dict[str, str], place: str) -> EncoderPlan:
    if codec in ELEMENTS:
        require_element(codec, container, place)
        return EncoderPlan(container, codec, options, "yuv420p")
    try:
        known = av.Codec(codec, "w")
    except ValueError as error:
        raise ConfigError(f"codec {codec!r} is not an encoder of this FFmpeg build") from error
    if known.type != "video":
        raise ConfigError(f"codec {codec!r} encodes {known.type}, expected a video encoder")
    formats = [one.name for one in known.video_formats or ()]
    pixel_format = "yuv420p" if "yuv420p" in formats or not formats else formats[0]
    plan = EncoderPlan(container, codec, options, pixel_format)
    with av.open(io.BytesIO(), "w", format=container) as trial:
        try:
            stream: Any = trial.add_stream(codec, rate=25)
        except ValueError as error:
            raise ConfigError(
                f"{place} do not take codec {codec}; choose another of the two"
            ) from error
        configure(stream, plan, 320, 256)
        try:
            stream.codec_context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ConfigError(
                f"encoder {codec} refuses its settings {plan.options}: {error}"
            ) from error
    return plan


def _options(codec: str, encoding: VideoEncoding) -> dict[str, str]:
    options = dict(FIXED_OPTIONS.get(codec, {}))
    default_crf, default_preset = CRF_AND_PRESET.get(codec, (None, None))
    crf = default_crf if encoding.crf is None else encoding.crf
    preset = default_preset if encoding.preset is None else encoding.preset
    for name, value, default in (
        ("crf", crf, default_crf),
        ("preset", preset, default_preset),
    ):
        if value is None:
            continue
        if default is None:
            raise ConfigError(
                f"codec {codec} has no {name}; leave it out or choose h264, h265 or av1"
            )
        options[name] = str(value)
    return options


def configure(stream: Any, plan: EncoderPlan, width: int, height: int) -> None:
    """Set size, format, colour tags and options of a new video stream."""
    stream.width, stream.height, stream.pix_fmt = width, height, plan.pixel_format
    context = stream.codec_context
    context.options = plan.options
    if "crf" in plan.options:
        # PyAV sets a bit rate on every new stream, which contradicts a rate factor.
        context.bit_rate = 0
    tag_colours(context)


def tag_colours(context: Any) -> None:
    """Say what `Picture` holds: BT.709, limited range."""
    context.color_range = av.video.reformatter.ColorRange.MPEG
    context.colorspace = av.video.reformatter.Colorspace.ITU709
    context.color_primaries = 1
    context.color_trc = 1

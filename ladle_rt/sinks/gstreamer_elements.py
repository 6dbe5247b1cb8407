"""GStreamer's video encoders: which there are, how they are set, whether one works here.

A Jetson's hardware encoder is reached in no other way: FFmpeg's ``h264_v4l2m2m`` is not it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from ladle_rt.errors import ConfigError

LAUNCHER, INSPECTOR = "gst-launch-1.0", "gst-inspect-1.0"
PACKAGES = "apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
CONTAINERS = {"matroska", "mp4", "mov", "mpegts", "rtp_mpegts", "rtsp", "nut"}
"""FFmpeg's names of what takes H.264 and H.265 with times of its own."""
TRIAL_LIMIT_S = 20.0
"""Longest wait for a first use: GStreamer then looks through all its plug-ins."""
BITS_PER_PIXEL = Fraction(12, 100)
LEAST_BITS_PER_S = 4_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What an encoder is told."""

    bits_per_s: int
    key_frame_every: int
    """Pictures."""

    @classmethod
    def of(cls, width: int, height: int, rate: Fraction, key_frame_every: int) -> Settings:
        """For pictures of a size in pixels, and frames per second."""
        bits = int(width * height * rate * BITS_PER_PIXEL)
        return cls(max(bits, LEAST_BITS_PER_S), key_frame_every)


def _jetson(element: str, parser: str, more: str = "") -> Callable[[Settings], str]:
    # One copy, by the picture processor: from system memory into the encoder's (NVMM).
    return lambda to: (
        "nvvidconv ! video/x-raw(memory:NVMM),format=I420 ! "
        f"{element} bitrate={to.bits_per_s} idrinterval={to.key_frame_every} "
        f"iframeinterval={to.key_frame_every} insert-sps-pps=true maxperf-enable=true{more} ! "
        f"{parser}"
    )


ELEMENTS: dict[str, Callable[[Settings], str]] = {
    "nvv4l2h264enc": _jetson("nvv4l2h264enc", "h264parse", " profile=4"),
    "nvv4l2h265enc": _jetson("nvv4l2h265enc", "h265parse"),
    "x264enc": lambda to: (
        f"x264enc tune=zerolatency speed-preset=veryfast bitrate={to.bits_per_s // 1000} "
        f"key-int-max={to.key_frame_every} ! h264parse"
    ),
    "openh264enc": lambda to: (
        f"openh264enc bitrate={to.bits_per_s} gop-size={to.key_frame_every} ! h264parse"
    ),
}
"""By name: from I420 in system memory to access units in the order of the pictures."""


@cache
def why_not(element: str) -> str:
    """Why an encoder cannot be used here, as a clause; empty where it can.

    It is tried, because a plug-in says nothing of the hardware: an Orin Nano has the plug-in and
    no encoder.
    """
    if shutil.which(LAUNCHER) is None or shutil.which(INSPECTOR) is None:
        return f"{LAUNCHER} is not installed"
    if _run([INSPECTOR, "--exists", element]) is not None:
        return "this GStreamer has no such element"
    settings = Settings(LEAST_BITS_PER_S, 30)
    pipeline = (
        "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=320,height=256 ! "
        f"{ELEMENTS[element](settings)} ! matroskamux ! fakesink"
    )
    refused = _run([LAUNCHER, "-q", *pipeline.split()])
    return "" if refused is None else f"it does not start ({refused})"


def require_element(element: str, container: str, place: str) -> None:
    """Refuse an encoder that cannot be used.

    Args:
        element: of `ELEMENTS`.
        container: FFmpeg's name of the format.
        place: what the format is called to people, in the plural.

    Raises:
        ConfigError: not here, or not for this container.
    """
    if container not in CONTAINERS:
        raise ConfigError(f"{place} do not take codec {element}; choose another of the two")
    reason = why_not(element)
    if reason:
        hint = f"; {PACKAGES}" if reason.endswith("installed") else "; leave --codec out"
        raise ConfigError(f"GStreamer's encoder {element} cannot be used: {reason}{hint}")


def last_words(log: str) -> str:
    """The first error in what GStreamer wrote, else its last line; empty for nothing."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "WARNING: erroneous"))]
    chosen = (errors or lines[-1:])[:1]
    return " ".join(chosen)


def _run(command: list[str]) -> str | None:
    """What a command complains of; ``None`` if it does not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TRIAL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_LIMIT_S:.0f} s"
    except OSError as error:
        return str(error.strerror or error)
    if done.returncode == 0:
        return None
    return last_words(done.stderr.decode(errors="replace")) or f"exit {done.returncode}"

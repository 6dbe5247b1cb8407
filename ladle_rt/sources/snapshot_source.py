"""Cameras that give one picture per request: a snapshot address, asked again and again."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from fractions import Fraction
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import Any
from urllib import request
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit

from ladle_rt.addresses import masked
from ladle_rt.closing import Closing
from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError, SourceLostError
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.media import DECODING_FAILS, open_media
from ladle_rt.sources.base import Source, SourceInfo, SourceOptions
from ladle_rt.sources.close_guard import CloseGuard
from ladle_rt.sources.frame_limit import bounded
from ladle_rt.sources.network_source import NetworkSource
from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, coloured_share, intensities
from ladle_rt.thermal.scene_reader import live_palette

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"}
"""Of addresses that are taken for snapshots."""
RATE = 5.0
"""Requests per second unless ``fps`` says otherwise."""
MOST_BYTES = 64_000_000
TIME_BASE = Fraction(1, 1_000_000)


class SnapshotSource(Closing):
    """A live `Source` that fetches a picture, and the next one when it is due.

    ``timestamp_ns`` and presentation times are those of arrival.
    """

    def __init__(self, url: str, options: SourceOptions | None = None) -> None:
        """
        Args:
            url: ``http://`` or ``https://``; user and password in it are offered as basic and as
                digest authentication.
            options: ``fps``, ``timeout_s``, ``allow_colour`` and ``read.from_palette`` count here.

        Raises:
            InputNotFoundError: nothing at that address.
            InputError: no connection, refused credentials, or not a picture.
            FalseColourError: a coloured picture without ``allow_colour``.
        """
        self._options = options or SourceOptions()
        self._shown = masked(url)
        self._palette = live_palette(self._options.read, self._shown)
        if urlsplit(url).scheme.lower() not in ("http", "https"):
            raise InputError(f"{self._shown}: expected snapshot:http://... or snapshot:https://...")
        self._url, self._opener = _with_credentials(url)
        self._guard = CloseGuard(lambda: None)
        self._period_s = 1 / (self._options.fps or RATE)
        try:
            self._first = self._fetch()
        except SourceLostError as error:
            raise InputError(str(error)) from error
        height, width = self._first.shape
        self.info = SourceInfo(
            width=width,
            height=height,
            time_base=TIME_BASE,
            rate=(1 / Fraction(self._period_s)).limit_denominator(1001),
            live=True,
            name=self._shown,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Deliver pictures when they are due.

        Raises:
            SourceLostError: a request failed.
        """
        pixels, sequence = self._first, 0
        begin_ns = now_ns = time.monotonic_ns()
        while not self._guard.closing.is_set():
            pts = round(Fraction(now_ns - begin_ns, 1_000_000_000) / TIME_BASE)
            yield Frame(pixels, sequence, now_ns, pts, TIME_BASE)
            sequence += 1
            due_s = self._period_s - (time.monotonic_ns() - now_ns) * 1e-9
            if self._guard.closing.wait(max(0.0, due_s)):
                return
            pixels = self._fetch()
            now_ns = time.monotonic_ns()

    def close(self) -> None:
        """Ask no more; a request that is going on ends by itself within the timeout."""
        self._guard.close()

    def _fetch(self) -> ThermalPixels:
        try:
            with self._opener.open(self._url, timeout=self._options.timeout_s) as answer:
                data = answer.read(MOST_BYTES)
        except HTTPError as error:
            if error.code in (401, 403):
                raise InputError(
                    f"{self._shown}: user name or password refused; check the address"
                ) from error
            if error.code == 404:
                raise InputNotFoundError(
                    f"{self._shown}: there is no such picture on that server"
                ) from error
            raise SourceLostError(f"{self._shown}: the server answers {error.code}") from error
        except (OSError, HTTPException) as error:
            reason = masked(str(getattr(error, "reason", None) or error))
            raise SourceLostError(f"{self._shown}: no picture ({reason})") from error
        return self._pixels(data)

    def _pixels(self, data: bytes) -> ThermalPixels:
        try:
            with open_media(io.BytesIO(data), options=bounded()) as container:
                container.streams.video[0].codec_context.options = bounded()
                frame = next(container.decode(video=0))
        except (*DECODING_FAILS, IndexError, StopIteration) as error:
            raise SourceLostError(
                f"{self._shown}: expected a picture, received {len(data)} bytes of something else"
            ) from error
        if self._palette is not None:
            rgb: Any = frame.to_ndarray(format="rgb24")
            return self._palette.levels(rgb)
        share = coloured_share(frame)
        if share > COLOURED_SHARE and not self._options.allow_colour:
            raise FalseColourError(
                f"{self._shown}: {share:.0%} of the picture is coloured; expected thermal "
                "intensities in grey: choose the camera's white-hot palette, turn it back with "
                "--from-palette auto, or use the luminance with --allow-colour"
            )
        return intensities(frame, luminance=self._options.allow_colour)


def open_http(url: str, options: SourceOptions) -> Source:
    """A picture's address is asked again and again, any other delivers a stream."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return (SnapshotSource if suffix in SUFFIXES else NetworkSource)(url, options)


def _with_credentials(url: str) -> tuple[str, request.OpenerDirector]:
    """The address without user and password, and what offers them when asked for them."""
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    passwords = request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        passwords.add_password(None, plain, user, password)
    return plain, request.build_opener(
        request.HTTPBasicAuthHandler(passwords), request.HTTPDigestAuthHandler(passwords)
    )

"""The page of one stream, as a sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import PixelFormat, TranslatedFrame
from ladle_rt.sinks.base import Controls
from ladle_rt.sinks.preview.connection_limits import ConnectionLimits, Connections
from ladle_rt.sinks.preview.encode import Pictures
from ladle_rt.sinks.preview.pages import Pages, WatchedStream
from ladle_rt.sinks.preview.server import PageServer
from ladle_rt.sinks.switches import Switch
from ladle_rt.thermal.thermal_view import ThermalView


def open_preview(
    address: str,
    token: str | None,
    make_thermal: Callable[[], ThermalView],
    figures: Callable[[], FrameStats],
    controls: Controls,
    notify: Callable[[str], None],
    switches: Sequence[Switch] = (),
    limits: ConnectionLimits | None = None,
) -> PreviewSink:
    """Serve the page and say where.

    Args:
        address: ``[HOST:]PORT``.
        token: what the page asks for; made up where others could reach it without one.
        make_thermal: makes the thermal picture of one layout.
        figures: for the chart.
        controls: what buttons do.
        notify: gets the addresses to open, one line each.
        switches: shown as buttons, in this order.
        limits: what visitors may take; ``None``: what the machine affords.

    Raises:
        ConfigError: an address or a token of another form.
        OutputError: the port is taken.
    """
    sink = PreviewSink(address, token, make_thermal, figures, controls, switches, limits)
    for url in sink.urls:
        notify(f"preview: {url}")
    return sink


class PreviewSink:
    """A `Sink` for any number of viewers; none of them can slow it down."""

    pixel_format: PixelFormat = "yuv420p"

    def __init__(
        self,
        address: str,
        token: str | None,
        make_thermal: Callable[[], ThermalView],
        figures: Callable[[], FrameStats],
        controls: Controls,
        switches: Sequence[Switch],
        limits: ConnectionLimits | None,
    ) -> None:
        """
        Raises:
            ConfigError, OutputError: see `open_preview`.
        """
        self._pictures: Pictures | None = None

        def make_site(connections: Connections) -> Pages:
            self._pictures = Pictures(make_thermal)
            stream = WatchedStream(self._pictures, figures, controls, switches)
            return Pages(connections, stream)

        self._server = PageServer(address, token, make_site, limits)
        self.urls = self._server.urls
        """What a person opens, with the token; the first on this machine."""

    def write(self, translated: TranslatedFrame) -> None:
        """Make a picture the newest; returns at once."""
        self._server.check()
        assert self._pictures is not None
        self._pictures.put(translated)

    def close(self) -> None:
        """End every viewer's stream and the server; calling it twice is harmless."""
        self._server.close()

    def abort(self) -> None:
        """The same."""
        self.close()

"""Interlaced frames (analogue capture) as whole ones, by FFmpeg's bwdif."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

logger = logging.getLogger("ladle_rt.input")


def deinterlaced(frames: Iterator[av.VideoFrame], name: str) -> Iterator[av.VideoFrame]:
    """Frames as they are up to the first that is interlaced, then as many progressive ones.

    Args:
        frames: in presentation order.
        name: of the input, for the message.
    """
    graph: Graph | None = None
    kind: tuple[object, ...] = ()
    time_base = Fraction(1)
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None or kind != _kind(frame):
            if graph is None:
                logger.info("%s: interlaced; it is deinterlaced", name)
            else:
                yield from _drain(graph, time_base)
            graph, kind = _graph(frame), _kind(frame)
            time_base = Fraction(frame.time_base or 1)
        graph.push(frame)
        yield from _pull(graph, time_base)
    if graph is not None:
        yield from _drain(graph, time_base)


def _kind(frame: av.VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    # One frame for each, so that times and counts stay.
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _pull(graph: Graph, time_base: Fraction) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        if isinstance(frame, av.VideoFrame):
            # The filter counts in half ticks.
            if frame.pts is not None and frame.time_base is not None:
                frame.pts = round(frame.pts * frame.time_base / time_base)
            frame.time_base = time_base
            yield frame


def _drain(graph: Graph, time_base: Fraction) -> Iterator[av.VideoFrame]:
    graph.push(None)
    yield from _pull(graph, time_base)

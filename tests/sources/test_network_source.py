"""Real servers on loopback, killed and started again."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from waiting import free_port

from ladle_rt.addresses import masked
from ladle_rt.errors import FalseColourError, InputError, SourceLostError
from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceEvent, SourceOptions
from ladle_rt.sources.network_source import NetworkSource
from ladle_rt.sources.reconnect import Backoff, ReconnectingSource
from ladle_rt.sources.select import open_source

FFMPEG, SYSTEM_PYTHON = shutil.which("ffmpeg"), "/usr/bin/python3"
SERVER = Path(__file__).resolve().parents[1] / "streams" / "rtsp_server.py"
OPTIONS = SourceOptions(timeout_s=3.0)
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")


@functools.cache
def has_rtsp_server() -> bool:
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    with contextlib.suppress(OSError):
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True).returncode == 0
    return False


@contextlib.contextmanager
def running(command: list[str], ready: bool = False) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if ready:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def ffmpeg(target: str, *options: str, grey: bool = True) -> list[str]:
    look = ["-vf", "format=gray,format=yuv420p"] if grey else ["-pix_fmt", "yuv420p"]
    return [
        str(FFMPEG), "-loglevel", "error", "-re", "-f", "lavfi",
        "-i", "testsrc2=size=160x128:rate=30", *look, "-c:v", "libx264", "-preset", "ultrafast",
        "-tune", "zerolatency", "-g", "15", *options, "-f", "mpegts", target,
    ]  # fmt: skip


def rtsp(port: int, *credentials: str) -> list[str]:
    return [SYSTEM_PYTHON, str(SERVER), str(port), *credentials]


def open_patiently(url: str, options: SourceOptions = OPTIONS) -> NetworkSource:
    """A server that was just started may not answer yet."""
    end_s = time.monotonic() + 20
    while True:
        try:
            return NetworkSource(url, options)
        except InputError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)


def take(source: Any, count: int) -> list[Frame]:
    return list(itertools.islice(source, count))


def good(frames: list[Frame]) -> bool:
    usable = [frame for frame in frames if frame.fault is None]
    assert {frame.pixels.shape for frame in usable} == {(128, 160)}
    pts = [frame.pts for frame in frames]
    assert pts == sorted(set(pts))
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    # A pattern that was started again begins with the same pictures.
    return len({frame.pixels.tobytes() for frame in usable[:15]}) > 0.7 * len(usable[:15])


def comes_back(url: str, serve: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    """Frames, then the server is killed, then there is another one: frames again."""
    events: list[SourceEvent] = []
    lost = threading.Event()

    def hear(event: SourceEvent) -> None:
        events.append(event)
        lost.set()

    with contextlib.ExitStack() as stack:
        server = contextlib.ExitStack()
        server.enter_context(serve())
        stack.callback(server.close)
        source = ReconnectingSource(
            lambda: NetworkSource(url, SourceOptions(timeout_s=1.5)) if events
            else open_patiently(url, SourceOptions(timeout_s=1.5)),
            timeout_s=2.5,
            on_event=hear,
            backoff=Backoff(0.05, 0.3),
        )  # fmt: skip
        stack.callback(source.close)
        frames = []
        killed = False

        def restart() -> None:
            server.close()
            assert lost.wait(20)
            server.enter_context(serve())

        restarter = threading.Thread(target=restart)
        for frame in source:
            frames.append(frame)
            if len(frames) == 20 and not killed:
                killed = True
                restarter.start()
            if len(frames) > 60 and any(event.kind == "back" for event in events):
                break
        restarter.join(20)
    assert good(frames)
    kinds = [event.kind for event in events]
    assert kinds[0] == "lost" and "back" in kinds


@needs_ffmpeg
def test_udp_comes_back() -> None:
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    comes_back(url, lambda: running(ffmpeg(f"{url}?pkt_size=1316")))


@needs_ffmpeg
def test_http_comes_back() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/live.ts"
    comes_back(url, lambda: running(ffmpeg(url, "-listen", "1")))


def test_rtsp_comes_back() -> None:
    if not has_rtsp_server():
        pytest.skip("no GStreamer RTSP server for the system's Python")
    port = free_port()
    comes_back(f"rtsp://127.0.0.1:{port}/thermal", lambda: running(rtsp(port), ready=True))


def test_rtsp_credentials_right_wrong_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    if not has_rtsp_server():
        pytest.skip("no GStreamer RTSP server for the system's Python")
    port = free_port()
    place = f"127.0.0.1:{port}/thermal"
    with running(rtsp(port, "anna", "s3cret"), ready=True):
        with NetworkSource(f"rtsp://anna:s3cret@{place}", OPTIONS) as source:
            assert good(take(source, 10))
            assert "s3cret" not in source.info.name and "anna" not in source.info.name
            assert source.info.live
        with pytest.raises(InputError) as caught:
            NetworkSource(f"rtsp://anna:wr0ng@{place}", OPTIONS)
        assert "refused" in str(caught.value) and "wr0ng" not in str(caught.value)
        with pytest.raises(InputError, match=r"no such stream|refused"):
            NetworkSource(f"rtsp://anna:s3cret@127.0.0.1:{port}/nothing", OPTIONS)
    assert "s3cret" not in caplog.text and "wr0ng" not in caplog.text


@needs_ffmpeg
def test_a_reader_that_paused_sees_new_frames_soon() -> None:
    """Whatever piled up meanwhile is read at once, not played at its own pace."""
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    with running(ffmpeg(f"{url}?pkt_size=1316")), open_patiently(url) as source:
        frames = iter(source)
        first = next(frames)
        for _ in range(20):
            last = next(frames)
        before_s = last.timestamp_ns * 1e-9 - float((last.pts - first.pts) * last.time_base)
        time.sleep(2)
        # How late a frame is, beside how late it was before the pause.
        end_s = time.monotonic() + 60
        lag_s = 10.0
        while lag_s > 0.3 and time.monotonic() < end_s:
            last = next(frames)
            lag_s = last.timestamp_ns * 1e-9 - float((last.pts - first.pts) * last.time_base)
            lag_s -= before_s
        assert lag_s <= 0.3


@needs_ffmpeg
def test_colour_is_refused_unless_allowed() -> None:
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    with running(ffmpeg(f"{url}?pkt_size=1316", grey=False)):
        with pytest.raises(FalseColourError, match="white-hot"):
            NetworkSource(url, OPTIONS)
        with NetworkSource(url, SourceOptions(timeout_s=3, allow_colour=True)) as source:
            assert good(take(source, 5))


@needs_ffmpeg
def test_a_server_that_falls_silent_is_lost() -> None:
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    with open_patiently_served(url) as (source, process):
        assert len(take(source, 5)) == 5
        process.kill()
        with pytest.raises(SourceLostError, match="no frame for 1 s"):
            list(source)


@contextlib.contextmanager
def open_patiently_served(url: str) -> Iterator[tuple[NetworkSource, Any]]:
    with (
        running(ffmpeg(f"{url}?pkt_size=1316")) as process,
        open_patiently(url, SourceOptions(timeout_s=1.0)) as source,
    ):
        yield source, process


def test_nothing_there_is_one_line() -> None:
    port = free_port()
    short = SourceOptions(timeout_s=1.0)
    for scheme, said in (
        ("rtsp", "cannot be opened"),
        ("http", "cannot be opened"),
        ("tcp", "cannot be opened"),
        ("udp", "no answer within 1 s|cannot be opened"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            NetworkSource(f"{scheme}://user:pa55@127.0.0.1:{port}/x", short)
        assert "pa55" not in str(caught.value) and "\n" not in str(caught.value)


def test_http_refusals() -> None:
    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/401": 401, "/403": 403}.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        place = f"http://127.0.0.1:{server.server_port}"
        for path, said in (("401", "refused"), ("403", "refused"), ("404", "no such stream")):
            with pytest.raises(InputError, match=said):
                NetworkSource(f"{place}/{path}", OPTIONS)
    finally:
        server.shutdown()
        server.server_close()


def test_addresses_are_masked() -> None:
    assert masked("rtsp://u:p@h:1/x?y=1") == "rtsp://***@h:1/x?y=1"
    assert masked("rtsp://u:p@w@h/x") == "rtsp://***@h/x"
    assert masked("http://h/x?user=a&password=b&z=1") == "http://h/x?user=***&password=***&z=1"
    assert masked("tried rtsp://u:p@h/x and srt://h:1?passphrase=geheim") == (
        "tried rtsp://***@h/x and srt://h:1?passphrase=***"
    )
    assert masked("/dev/video0") == "/dev/video0"
    assert np.all([masked(text) == text for text in ("a@b", "http://h/x", "user:p")])


class Packets:
    """Instead of FFmpeg: a container whose packets are scripted; ``None`` cannot be decoded."""

    def __init__(self, times_s: list[float | None]) -> None:
        self.streams = SimpleNamespace(video=[self])
        self.codec_context = SimpleNamespace(thread_count=0)
        self.format = SimpleNamespace(flags=0)
        self.sample_aspect_ratio = None
        self.average_rate = self.guessed_rate = self.base_rate = Fraction(10)
        self._times_s = iter(times_s)

    def demux(self, stream: object) -> Iterator[Any]:
        return (SimpleNamespace(decode=lambda one=one: self._decode(one)) for one in self._times_s)

    def close(self) -> None: ...

    def _decode(self, time_s: float | None) -> list[av.VideoFrame]:
        if time_s is None:
            raise av.error.InvalidDataError(1, "damaged")
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16), np.uint8), format="gray")
        frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
        return [frame]


def test_a_damaged_packet_does_not_move_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's uptime is no time of the stream."""
    times_s = [50.0, 50.1, None, 50.3, 50.4, None, 50.6]
    monkeypatch.setattr(av, "open", lambda *_, **__: Packets(times_s))
    expected_s = [0.0, 0.1, 0.3, 0.4, 0.6]
    with NetworkSource("udp://h:1", OPTIONS) as source:
        frames = take(source, len(times_s))
    assert [frame.time_s for frame in frames if frame.fault is None] == expected_s
    assert all(frame.time_s < 1 for frame in frames)
    # Played at once instead of in time, the packets after a damaged one must not be taken for a
    # clock that jumped back.
    monkeypatch.setattr(time, "monotonic_ns", itertools.count(10**15, 10**9).__next__)
    with ReconnectingSource(lambda: NetworkSource("udp://h:1", OPTIONS), timeout_s=5) as source:
        frames = take(source, len(times_s))
    assert [frame.time_s for frame in frames if frame.fault is None] == expected_s
    assert [frame.pts for frame in frames] == sorted({frame.pts for frame in frames})


def jpeg(shade: int) -> bytes:
    encoded, data = cv2.imencode(".jpg", np.full((64, 80), shade, np.uint8))
    assert encoded
    return data.tobytes()


@contextlib.contextmanager
def serving(answer: Callable[[Any], None]) -> Iterator[str]:
    """An HTTP server that answers every GET with ``answer(handler)``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_slow_http_camera_keeps_its_pace() -> None:
    """Multipart JPEG has no times: FFmpeg makes up 25 per second, whatever the camera does."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace;boundary=next")
        handler.end_headers()
        for number in range(60):
            data = jpeg(number * 4)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")
            handler.wfile.flush()
            time.sleep(1 / 9)

    with serving(answer) as place, NetworkSource(f"{place}/video", OPTIONS) as source:
        frames = take(source, 20)[5:]
    spans_s = frames[-1].time_s - frames[0].time_s
    arrived_s = (frames[-1].timestamp_ns - frames[0].timestamp_ns) * 1e-9
    assert spans_s == pytest.approx(arrived_s, abs=0.01)
    assert spans_s > 1.2, "14 frames at 9 per second, not at 25"


def test_a_snapshot_address_is_asked_again_and_again() -> None:
    asked: list[str | None] = []

    def answer(handler: Any) -> None:
        given = handler.headers.get("Authorization")
        asked.append(given)
        if given is None:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.end_headers()
            return
        data = jpeg(len(asked) * 10)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with serving(answer) as place:
        url = place.replace("//", "//anna:s3cret@") + "/picture.jpg"
        with open_source(url, SourceOptions(fps=20, timeout_s=3)) as source:
            assert source.info.live and "s3cret" not in source.info.name
            frames = take(source, 5)
        wrong = "snapshot:" + place + "/cgi?picture=1"
        with pytest.raises(InputError, match="password refused"):
            open_source(wrong, SourceOptions())
    assert len({int(frame.pixels[0, 0]) for frame in frames}) == 5
    assert all(0.04 < b.time_s - a.time_s for a, b in itertools.pairwise(frames))


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_rtp_by_its_description(codec: str, tmp_path: Path) -> None:
    port, sdp = free_port(), tmp_path / "camera.sdp"
    command = [*ffmpeg("", "-sdp_file", str(sdp))[:-3], "-f", "rtp", f"rtp://127.0.0.1:{port}"]
    command[command.index("libx264")] = codec
    with running(command):
        end_s = time.monotonic() + 20
        while not sdp.exists() and time.monotonic() < end_s:
            time.sleep(0.1)
        with open_patiently(str(sdp)) as source:
            assert good(take(source, 20))
        with open_source(str(sdp), OPTIONS) as watched:
            assert isinstance(watched, ReconnectingSource)


def test_h265_by_rtsp() -> None:
    if not has_rtsp_server():
        pytest.skip("needs GStreamer's RTSP server and its Python bindings")
    port = free_port()
    with running(rtsp(port), ready=True):
        url = f"rtsp://127.0.0.1:{port}/h265"
        try:
            source = open_patiently(url)
        except InputError as error:
            if "no such stream" in str(error):
                pytest.skip("GStreamer has no H.265 encoder")
            raise
        with source:
            assert good(take(source, 20))


@needs_ffmpeg
def test_rtmp() -> None:
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/thermal"
    command = [*ffmpeg(url, "-listen", "1")[:-3], "-f", "flv", "-listen", "1", url]
    with running(command), open_source(url, replace(OPTIONS, wait=True, timeout_s=10)) as source:
        assert good(take(source, 20))

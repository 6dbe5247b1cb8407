"""Cameras together: none disturbs another, and each comes back by itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from waiting import free_port

from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ModelError, OutputError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.serve import camera_worker
from ladle_rt.serve import supervisor as supervisor_module
from ladle_rt.serve.serve_config import CameraConfig, ServeConfig
from ladle_rt.serve.serve_file import serve_file
from ladle_rt.serve.supervisor import Supervisor
from ladle_rt.sources.base import SourceOptions

Config = Callable[..., ServeConfig]
Until = Callable[..., Any]
CALM = CameraConfig("calm", "synthetic:64x48@10")


def silent(line: str) -> None:
    pass


def adds_up(figures: FrameStats) -> bool:
    return figures.captured == figures.presented + sum(figures.dropped.values()) + figures.in_flight


def shows(supervisor: Supervisor, name: str, count: int) -> Callable[[], bool]:
    before = supervisor.figures()[name].presented
    return lambda: supervisor.figures()[name].presented >= before + count


def test_a_flood_a_hang_and_a_missing_camera_leave_the_others_alone(
    config: Config, until: Until, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "hangs")
    cameras = (
        CALM,
        CameraConfig("flood", "synthetic:320x256@1000"),
        CameraConfig("hangs", str(tmp_path / "hangs")),
        CameraConfig("missing", "/dev/video77"),
    )
    with Supervisor(config(*cameras), silent) as supervisor:
        until(shows(supervisor, "calm", 1))
        begin = supervisor.figures()
        until(shows(supervisor, "calm", 15))
        end = supervisor.figures()
        # That it loses nothing is counted in turns, by test_calm_camera.py.
        assert end["flood"].captured > begin["flood"].captured
        assert end["hangs"].captured == 0
        overview = {one["name"]: one for one in supervisor.overview()["cameras"]}
        assert overview["missing"]["state"] == "lost"
        assert overview["missing"]["alarms"][0]["kind"] == "away"
        assert "no such device" in overview["missing"]["problem"]
        began_s = time.monotonic()
    assert time.monotonic() - began_s < supervisor_module.STOP_TIMEOUT_S
    last = supervisor.figures()
    assert all(adds_up(one) and not one.in_flight for one in last.values()), last


def test_a_camera_that_fails_begins_again_and_its_account_goes_on(
    config: Config, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = camera_worker.stream
    failed = threading.Event()

    def fragile(job: Any, *arguments: Any, **named: Any) -> Any:
        if "64x48@30" in job.device and not failed.is_set():
            job = replace(job, max_frames=5)
            real(job, *arguments, **named)
            failed.set()
            raise ZeroDivisionError("a bug")
        return real(job, *arguments, **named)

    monkeypatch.setattr(camera_worker, "stream", fragile)
    cameras = CALM, CameraConfig("fragile", "synthetic:64x48@30")
    with Supervisor(config(*cameras), silent) as supervisor:
        until(failed.is_set)
        until(lambda: supervisor.figures()["fragile"].captured > 10)
        fragile_one = next(o for o in supervisor.overview()["cameras"] if o["name"] == "fragile")
        assert fragile_one["restarts"] == 1 and fragile_one["problem"] is None
        calm = next(o for o in supervisor.overview()["cameras"] if o["name"] == "calm")
        assert calm["restarts"] == 0
    assert all(map(adds_up, supervisor.figures().values()))


def test_recordings_and_an_output_per_camera(
    config: Config, until: Until, clip: Path, looped: SourceOptions, tmp_path: Path
) -> None:
    cameras = [
        CameraConfig(name, str(clip), (str(tmp_path / f"{name}.mkv"),), True, open=looped)
        for name in ("one", "two")
    ]
    with Supervisor(config(*cameras), silent) as supervisor:
        until(lambda: all(one.presented > 5 for one in supervisor.figures().values()))
    for name in ("one", "two"):
        (recorded,) = (tmp_path / "rec" / name).iterdir()
        for path in (recorded, tmp_path / f"{name}.mkv"):
            with av.open(str(path)) as container:
                count = sum(1 for _ in container.decode(video=0))
            assert count == supervisor.figures()[name].presented


def test_what_people_record_is_kept_and_may_not_fill_the_disk(
    config: Config, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "TIDY_EVERY_S", 0.05)
    # Nothing that the rule made may stay, and yet what was asked for does.
    with Supervisor(config(CALM, max_days=1e-9), silent) as supervisor:
        worker = supervisor._workers["calm"]
        until(shows(supervisor, "calm", 2))
        path = worker.record(True)
        assert path is not None and path.parent == tmp_path / "rec" / "calm" / "kept"
        assert supervisor.overview()["cameras"][0]["recorded"] == path.name
        until(shows(supervisor, "calm", 2))
        supervisor._storage.rule = replace(supervisor._storage.rule, min_free_gb=1e9)
        until(lambda: worker.recording is None)
        assert path.is_file()
        with pytest.raises(OutputError, match="nothing is recorded"):
            worker.record(True)


def test_cameras_that_hang_are_waited_for_together(
    config: Config, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, hanging, waits = threading.Event(), threading.Semaphore(0), list[float]()

    def hangs(*arguments: Any, **named: Any) -> None:
        hanging.release()
        released.wait()

    class Watched(camera_worker.CameraWorker):
        def join(self, timeout_s: float) -> bool:
            waits.append(timeout_s)
            return super().join(timeout_s)

    monkeypatch.setattr(camera_worker, "stream", hangs)
    monkeypatch.setattr(supervisor_module, "CameraWorker", Watched)
    monkeypatch.setattr(supervisor_module, "STOP_TIMEOUT_S", 0.2)
    names = ("one", "two", "three")
    with Supervisor(config(*(replace(CALM, name=name) for name in names)), silent):
        for _ in names:
            assert hanging.acquire(timeout=60)
    released.set()
    assert 0 < waits[0] <= 0.2 and waits[1:] == [0, 0]


def test_nothing_starts_where_something_is_wrong(config: Config) -> None:
    with pytest.raises(ModelError):
        Supervisor(config(CALM, replace(CALM, name="x", model="nonesuch.onnx")), silent)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="choose another port"):
            Supervisor(config(CALM, address=f"{taken.getsockname()[1]}"), silent)
    before = {thread.name for thread in threading.enumerate()}
    assert not [name for name in before if name.startswith("camera ")]


def test_only_what_an_edit_changes_restarts(config: Config, until: Until) -> None:
    old = config(CALM, CameraConfig("b", "synthetic:64x48@20"), CameraConfig("c", "synthetic"))
    with Supervisor(old, silent) as supervisor:
        workers = dict(supervisor._workers)
        until(shows(supervisor, "calm", 2))
        changed = CameraConfig("b", "synthetic:64x48@5", options=TranslateOptions(steady=0.5))
        new = replace(old, camera=(CALM, changed, CameraConfig("d", "synthetic:32x32@5")))
        supervisor.apply(new)
        assert supervisor._workers["calm"] is workers["calm"]
        assert supervisor._workers["b"] is not workers["b"] and not workers["c"]._thread.is_alive()
        assert sorted(supervisor.figures()) == ["b", "calm", "d"]
        until(shows(supervisor, "d", 1))
        # A model that is not there: the old cameras go on, none is lost.
        wrong = replace(new, camera=(CALM, replace(changed, model="nonesuch.onnx")))
        with pytest.raises(ModelError):
            supervisor.apply(wrong)
        assert sorted(supervisor.figures()) == ["b", "calm", "d"]
        until(shows(supervisor, "d", 1))
        assert supervisor.figures()["calm"].dropped.get("cut off") is None


def test_the_file_is_followed_and_an_error_in_it_changes_nothing(
    until: Until, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Supervisor] = []

    class Seen(Supervisor):
        def __init__(self, *arguments: Any) -> None:
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr("ladle_rt.serve.serve_file.Supervisor", Seen)
    head = f'[page]\naddress = ""\n[engine]\nmodel = "{tiny_model}"\nbackend = "onnxruntime"\n'
    one = '[[camera]]\nname = "one"\nsource = "synthetic:64x48@10"\n'
    path = tmp_path / "cameras.toml"
    path.write_text(head + one)
    stop, reload = threading.Event(), threading.Event()
    result: list[Any] = []
    thread = threading.Thread(
        target=lambda: result.append(serve_file(path, stop=stop, reload=reload, notify=silent))
    )
    thread.start()
    try:
        until(lambda: made and "one" in made[0].figures())
        path.write_text(head + one + one.replace("one", "two"))
        until(lambda: sorted(made[0].figures()) == ["one", "two"])
        path.write_text(head + one + "[[camera]]\nnme = 3\n")
        reload.set()
        until(lambda: made[0].problem is not None)
        assert "unknown key 'nme'; did you mean name?" in str(made[0].problem)
        assert sorted(made[0].figures()) == ["one", "two"]
        until(shows(made[0], "two", 2))
        path.write_text(head + one)
        until(lambda: made[0].problem is None and sorted(made[0].figures()) == ["one"])
    finally:
        stop.set()
        thread.join(30)
    assert adds_up(result[0]["one"]) and result[0]["one"].presented > 0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_camera_of_the_network_that_dies_comes_back(
    config: Config, until: Until, clip: Path
) -> None:
    port = free_port(socket.SOCK_DGRAM)
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), "-an"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"]
    command += ["-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"]
    sender = subprocess.Popen(command)
    network = CameraConfig("net", f"udp://127.0.0.1:{port}", open=SourceOptions(timeout_s=1.0))
    try:
        with Supervisor(config(CALM, network), silent) as supervisor:
            until(shows(supervisor, "net", 5), 60)
            sender.send_signal(signal.SIGKILL)
            sender.wait()
            until(lambda: supervisor.figures()["net"].state == "lost", 60)
            before = supervisor.figures()["calm"]
            until(shows(supervisor, "calm", 5))
            after = supervisor.figures()["calm"]
            assert after.presented - before.presented >= 5 and after.reconnects == 0
            sender = subprocess.Popen(command)
            until(shows(supervisor, "net", 5), 60)
            assert supervisor.figures()["net"].state == "running"
            assert supervisor.figures()["net"].reconnects >= 1
    finally:
        sender.kill()
        sender.wait()
    assert all(map(adds_up, supervisor.figures().values()))

"""The file that says which cameras run: what it means, and what it is refused for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.config import Isotherm
from ladle_rt.errors import ConfigError
from ladle_rt.serve.serve_config import ServeConfig, load_config

Load = Callable[[str], ServeConfig]
GATE = '[[camera]]\nname = "gate"\nsource = "rtsp://a:b@10.0.0.5/t"\n'


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> ServeConfig:
        path = tmp_path / "cameras.toml"
        path.write_text(text)
        return load_config(path)

    return read


def test_everything_of_a_stream_can_be_said(load: Load) -> None:
    config = load(
        GATE + 'outputs = ["udp://127.0.0.1:9"]\nrecord = true\npolicy = "drop-oldest"\n'
        "open = { timeout_s = 2, loop = true }\n"
        'read = { polarity = "black-hot", track = 1 }\n'
        'options = { steady = 0.5, isotherm = "98%", allow_colour = true }\n'
        '[engine]\nthreads = 3\nbackend = "onnxruntime"\n[engine.batch]\nframes = 4\n'
        '[storage]\nmax_gb = 10\nmax_days = 7\n[page]\naddress = ""\n'
    )
    camera = config.camera[0]
    assert camera.options.isotherm == Isotherm(98.0)
    source = camera.source_options
    assert source.loop and source.allow_colour and source.read.polarity == "black-hot"
    assert (config.options(camera).threads, config.options(camera).steady) == (3, 0.5)
    assert (config.engine.batch.frames, config.storage.max_days) == (4, 7.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no camera; add a"),
        ("x = [", "expected TOML"),
        ('[[camera]]\nname = "a"\nsorce = "x"\n', "camera a: unknown key 'sorce'; did you mean so"),
        (GATE + "options = { steadi = 1 }", "unknown key 'steadi' for options; did you mean stead"),
        (GATE + "[engin]\nthreads = 1", "unknown key 'engin'; did you mean engine"),
        (GATE + "options = { steady = 2 }", "camera gate: steady must be within 0-1"),
        (GATE + 'options = { backend = "torch" }', "move backend to .engine."),
        (GATE + "read = { track = true }", "expected a whole number or a text"),
        (GATE + 'options = { isotherm = "hot" }', "camera gate: isotherm must be"),
        (GATE + "[storage]\nmax_gb = 0", "max_gb must be > 0"),
        (GATE + "[storage]\nmin_free_gb = -1", "min_free_gb must be >= 0"),
        (GATE + GATE, "two cameras are called gate"),
        (GATE + GATE.replace("gate", "x"), r"cameras gate and x are on one device, rtsp://\*\*\*@"),
        ('[[camera]]\nname = "../x"\nsource = "0"', "a camera's name must be letters"),
        ('[[camera]]\nsource = "0"', "camera 1: expected a value for name"),
        ("camera = 3", "expected a list for camera"),
        ("log_every_s = -1\n" + GATE, "log_every_s must be >= 0"),
    ],
)
def test_refusals_are_one_line_that_says_where(load: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "\n" not in str(caught.value) and "cameras.toml: " in str(caught.value)
    assert "a:b@" not in str(caught.value)


def cameras(*sources: str, outputs: str = "") -> str:
    return "".join(
        f'[[camera]]\nname = "c{number}"\nsource = "{source}"\n{outputs}\n'
        for number, source in enumerate(sources)
    )


@pytest.mark.parametrize(
    "pair",
    [
        ("0", "/dev/video0"),
        ("v4l2:/dev/video3", "3"),
        ("/dev/null", "/dev/./null"),
        ("udp://127.0.0.1:5000", "udp://127.0.0.1:5000"),
        ("csi:0", "csi:0"),
    ],
)
def test_one_device_has_one_camera(load: Load, pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="on one device"):
        load(cameras(*pair))


def test_a_device_by_another_name_is_the_same(load: Load, tmp_path: Path) -> None:
    link = tmp_path / "thermal0"
    link.symlink_to("/dev/null")
    with pytest.raises(ConfigError, match="on one device"):
        load(cameras("/dev/null", str(link)))


def test_files_and_patterns_have_many_readers(load: Load, tmp_path: Path) -> None:
    clip = tmp_path / "t.mp4"
    clip.write_bytes(b"x")
    assert len(load(cameras(str(clip), str(clip), "synthetic", "synthetic")).camera) == 4
    assert len(load(cameras("0", "1", outputs='outputs = ["null"]')).camera) == 2


@pytest.mark.parametrize("output", ["out.mkv", "udp://10.0.0.1:5000", "shm:x", "recording:a.lrec"])
def test_two_cameras_do_not_write_to_one_place(load: Load, output: str) -> None:
    with pytest.raises(ConfigError, match="write to one place"):
        load(cameras("0", "1", outputs=f'outputs = ["{output}"]'))

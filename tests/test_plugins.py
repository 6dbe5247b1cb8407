"""A real, tiny distribution on the path, and what its entry points open."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ladle_rt
from ladle_rt import plugins
from ladle_rt.cli import cli
from ladle_rt.config import BACKENDS, TranslateOptions
from ladle_rt.errors import ConfigError, InputError, OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.select import SINKS, open_sinks
from ladle_rt.sinks.select import kinds as sink_kinds
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.pacing import LoopSource
from ladle_rt.sources.reconnect import ReconnectingSource
from ladle_rt.sources.select import SOURCES, open_source
from ladle_rt.sources.select import kinds as source_kinds
from ladle_rt.translate.select import load_network

MODULE = """
from dataclasses import dataclass
from fractions import Fraction
import numpy as np
from ladle_rt.frames import Frame
from ladle_rt.sources.base import SourceInfo

class Ramp:
    live = False
    def __init__(self, place, options):
        self.place = place
        self.info = SourceInfo(4, 3, Fraction(1, 25), Fraction(25), live=self.live, name=place)
    def __iter__(self):
        for number in range(3):
            yield Frame(np.full((3, 4), number, np.uint16), number, 0, number, Fraction(1, 25))
    def close(self): pass
    def __enter__(self): return self
    def __exit__(self, *_): self.close()

class Camera(Ramp):
    live = True

class Count:
    pixel_format = "yuv420p"
    def __init__(self, place, context):
        self.place, self.count, self.width = place, 0, context.width
    def write(self, translated): self.count += 1
    def close(self): pass
    def abort(self): pass

class Engine:
    name = "tiny"
    def __init__(self, artifact, *, workers, output):
        self.workers, self.output = workers, output
    def runner(self):
        return lambda thermal: np.repeat(thermal / 2, 3, axis=1)
"""
ENTRY_POINTS = """
[ladle_rt.sources]
ramp = tiny_plugin:Ramp
camera = tiny_plugin:Camera
rtsp = tiny_plugin:Ramp
gone = tiny_plugin_that_is_not_there:Source

[ladle_rt.sinks]
count = tiny_plugin:Count

[ladle_rt.backends]
tiny = tiny_plugin:Engine
gone = tiny_plugin_that_is_not_there:Engine
"""


@pytest.fixture(autouse=True)
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "tiny_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "tiny_plugin.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_source() -> None:
    with open_source("ramp:here", SourceOptions()) as source:
        assert source.info.name == "here"
        assert [int(frame.pixels[0, 0]) for frame in source] == [0, 1, 2]
    with open_source("ramp://host/x", SourceOptions(loop=True)) as source:
        assert isinstance(source, LoopSource) and source.info.name == "ramp://host/x"
    with open_source("camera:1", SourceOptions()) as source:
        assert isinstance(source, ReconnectingSource), "a live one is watched"
    assert "ramp:..." in source_kinds()


def test_a_sink() -> None:
    context = SinkContext(8, 6, Fraction(30), Fraction(1, 30))
    (sink,) = open_sinks(["count:it"], context)
    picture = Picture("yuv420p", np.zeros((9, 8), np.uint8), 8, 6)
    sink.write(TranslatedFrame(Frame(np.zeros((6, 8), np.uint8), 0, 0), picture))
    assert (sink.place, sink.count, sink.width) == ("it", 1, 8)  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match="two outputs on one place"):
        open_sinks(["count:it", "count:it"], context)
    assert "count:..." in sink_kinds()


def test_a_backend(tiny_model: Path) -> None:
    thermal = np.linspace(1000, 3000, 64 * 96).reshape(64, 96).astype(np.uint16)
    with ladle_rt.load(model=str(tiny_model), backend="tiny") as translate:
        rgb = translate(thermal)
    assert np.array_equal(rgb[..., 0], rgb[..., 2]) and rgb.max() == pytest.approx(128, abs=2)
    network = load_network(load_artifact(tiny_model), "tiny", workers=3, output="classes")
    assert (network.workers, network.output) == (3, "classes")  # type: ignore[attr-defined]


def test_a_backend_by_name_on_the_command_line(tiny_model: Path, tmp_path: Path) -> None:
    image = tmp_path / "frame.npy"
    np.save(image, np.linspace(0, 9000, 64 * 96).reshape(64, 96).astype(np.uint16))
    words = ["image", str(image), "--model", str(tiny_model), "-o", str(tmp_path / "colour")]
    done = CliRunner().invoke(cli, [*words, "--backend", "tiny"])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "colour").glob("*.png"))) == 1
    wrong = CliRunner().invoke(cli, [*words, "--backend", "tinny"])
    assert wrong.exit_code == 2 and "openvino, triton, tiny, gone, received 'tinny'" in wrong.output


def test_backends_that_do_not_exist_or_do_not_load(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="openvino, triton, tiny, gone, received 'tinny'"):
        TranslateOptions(backend="tinny")
    with pytest.raises(ConfigError, match="tiny_plugin_that_is_not_there:Engine: cannot be loaded"):
        load_network(load_artifact(tiny_model), TranslateOptions(backend="gone").backend)


def test_what_a_plug_in_cannot_do() -> None:
    with pytest.raises(ConfigError, match="tiny_plugin_that_is_not_there:Source: cannot be loaded"):
        open_source("gone:1", SourceOptions())
    with pytest.raises(InputError, match="no such file"):
        open_source("ramp:", SourceOptions())
    assert open_source("synthetic", SourceOptions()).info.name != "ramp"
    assert source_kinds().count("rtsp:") == 1, "ours stays ours"


TARGETS = {kind.target for table in (SOURCES, SINKS) for kind in table.values()} | {
    kind.network for kind in BACKENDS.values() if kind.network
}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_line_of_the_tables_names_something(target: str) -> None:
    assert callable(plugins.load(target))

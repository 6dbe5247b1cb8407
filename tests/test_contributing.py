"""The recipes of CONTRIBUTING.md are code that works, and name files that exist."""

from __future__ import annotations

import re
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.errors import InputError, OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sources.base import Source, SourceOptions

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TO_BE_WRITTEN = {
    "ladle_rt/models/plain.py",
    "ladle_rt/sinks/means_sink.py",
    "ladle_rt/sources/array_source.py",
    "ladle_rt/training/recipes/NAME.toml",
    "ladle_rt/translate/reference_backend.py",
    "tests/sinks/test_means_sink.py",
    "tests/sources/test_array_source.py",
}
"""Files that the recipes make."""


def recipe(title: str) -> dict[str, Any]:
    """The names that the recipe's module defines."""
    section = TEXT.partition(f"### {title}\n")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    # As an import does it: dataclasses look their module up.
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(textwrap.dedent(code), f"CONTRIBUTING.md, {title}", "exec"), names)
    return names


def test_named_files_exist() -> None:
    named = set(re.findall(r"`((?:ladle_rt|tests)/[\w/]+\.(?:py|toml))`", TEXT))
    missing = {name for name in named if not (ROOT / name).is_file()}
    assert missing == TO_BE_WRITTEN


def test_a_source(tmp_path: Path) -> None:
    source_of = recipe("A source")["ArraySource"]
    frames = np.arange(3 * 4 * 6, dtype=np.uint16).reshape(3, 4, 6)
    path = tmp_path / "frames.npy"
    np.save(path, frames)
    with source_of(str(path), SourceOptions()) as source:
        assert isinstance(source, Source)
        assert (source.info.width, source.info.height, source.info.frames) == (6, 4, 3)
        found = list(source)
    assert [frame.sequence for frame in found] == [0, 1, 2]
    assert all(np.array_equal(frame.pixels, frames[frame.sequence]) for frame in found)
    assert found[1].time_s == pytest.approx(1 / 25)
    np.save(path, frames.astype(np.float32))
    with pytest.raises(InputError, match=r"float32 of \(3, 4, 6\)"):
        source_of(str(path), SourceOptions())
    path.write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"expected a \.npy file"):
        source_of(str(path), SourceOptions())


def test_a_sink(tmp_path: Path) -> None:
    sink_of = recipe("A sink")["MeansSink"]
    context = SinkContext(8, 6, Fraction(30), Fraction(1, 30))
    path = tmp_path / "means.csv"
    sink = sink_of(path, context)
    assert isinstance(sink, Sink)
    rgb = np.zeros((6, 8, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    frame = Frame(np.zeros((6, 8), np.uint8), 5, 0)
    sink.write(TranslatedFrame(frame, Picture("rgb24", rgb, 8, 6)))
    sink.close()
    sink.abort()
    assert path.read_text(encoding="utf-8") == "5,10.0,20.0,30.0\n"
    with pytest.raises(OutputError, match="cannot be written"):
        sink_of(path, context)
    path.unlink()
    sink_of(path, context).abort()
    assert not path.exists()


def test_a_backend(tiny_model: Path) -> None:
    pytest.importorskip("onnx.reference", reason="needs the engines extra")
    from ladle_rt.translate import load_network

    artifact = load_artifact(tiny_model)
    network = recipe("A backend")["ReferenceNetwork"](artifact)
    thermal = np.random.default_rng(0).random((1, 1, 64, 96), dtype=np.float32)
    expected = load_network(artifact, "onnxruntime").runner()(thermal)
    assert np.allclose(network.runner()(thermal), expected, atol=1e-5)


def test_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    from ladle_rt.models import registry

    names = recipe("A model")
    config = names["PlainConfig"](width=8)
    entry = registry.Architecture(names["PlainConfig"], names["Plain"], {"compact": config})
    monkeypatch.setitem(registry.ARCHITECTURES, "plain", entry)
    assert registry.config_from_dict("plain", registry.config_to_dict(config)) == config
    model = registry.build("plain", registry.preset_config("plain", "compact"))
    rgb = model(torch.rand(2, 1, 32, config.size_multiple))
    assert rgb.shape == (2, 3, 32, 32) and 0 <= rgb.min() and rgb.max() <= 1
    rgb.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

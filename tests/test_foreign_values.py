"""Values of other types and sizes than any of this package's files have: what fuzzing found."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import onnx
import pytest

from ladle_rt.benchmark.benchmark_report import read_report
from ladle_rt.engines.plan.manifest import PlanManifest, read_manifest
from ladle_rt.errors import ConfigError, InputError, ModelError, shown
from ladle_rt.models.artifact import ModelInfo, file_sha256, load_artifact
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.network_source import NetworkSource
from ladle_rt.structure import structure
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.select import load_network

SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {} RTP/AVP 96\n"


@dataclass(frozen=True)
class Weight:
    share: float


def test_values_in_messages_are_cut_and_on_one_line() -> None:
    assert shown("a\n b") == "a b"
    assert len(shown("x" * 500)) == 80 and shown("x" * 500).endswith("...")
    with pytest.raises(ConfigError) as caught:
        structure(Weight, {"share": 1, "a" * 5000: 2}, "here", ConfigError)
    assert len(str(caught.value)) < 300
    with pytest.raises(ConfigError) as caught:
        ThermalNormalization.from_dict({"b" * 5000: 1.0})
    assert len(str(caught.value)) < 500


def test_whole_numbers_that_no_float_holds_are_no_numbers() -> None:
    with pytest.raises(ConfigError, match="expected a finite number for share"):
        structure(Weight, {"share": 10**400}, "here", ConfigError)
    values = asdict(ThermalNormalization())
    with pytest.raises(ConfigError, match="must be numbers"):
        ThermalNormalization.from_dict(dict.fromkeys(values, 10**400))


@pytest.mark.parametrize("figure", [["a", 1, 2], [1, 2], 3, [1, None, 2]])
def test_a_report_with_figures_that_are_none(figure: object, tmp_path: Path) -> None:
    case = {"model": "m", "model_sha256": "", "precision": "fp32", "backend": "onnxruntime",
            "device": "cpu", "size": [64, 96], "status": "measured",
            "figures": {"idle_p50_ms": [1, 1, 1]}, "stages_ms": {}}  # fmt: skip
    values = {"schema": 2, "complete": True, "thermal_jpeg": "", "provenance": {"machine": {}},
              "settings": {"frame_size": [64, 96]}, "cases": [case]}  # fmt: skip
    path = tmp_path / "report.json"
    path.write_text(json.dumps(values))
    assert read_report(path).cases[0].figures["idle_p50_ms"].value == 1
    case["figures"] = {"idle_p50_ms": figure}
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="damaged report"):
        read_report(path)


def test_a_plan_for_targets_without_names(tmp_path: Path) -> None:
    plan = PlanManifest({}, "", "fp16", "tensorrt", "11", [], {}, {"targets": ["sm89"]}, None)
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert read_manifest(path) == plan
    path.write_text(plan.to_json().replace('"sm89"', "89"))
    with pytest.raises(InputError, match=r"expected names of architectures.*build the plan again"):
        read_manifest(path)


@pytest.mark.parametrize("codec", ["X-NOBODY", "H264"])
def test_a_stream_without_a_decoder_or_packets(codec: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] & ~1
    path = tmp_path / "s.sdp"
    path.write_text(SDP.format(port) + f"a=rtpmap:96 {codec}/90000\n")
    with pytest.raises(InputError, match=r"decoder|no answer|no frame|cannot be opened"):
        NetworkSource(str(path), SourceOptions(timeout_s=0.2))


def test_a_graph_with_names_and_fields_that_none_has(
    tmp_path: Path, make_model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_model(tmp_path / "m.onnx")
    facts = path.with_suffix(".json")
    info = ModelInfo.from_json(facts.read_text(), "test")
    whole = path.read_bytes()
    model = onnx.load(path)
    model.metadata_props[0].value = ""
    del model.metadata_props[:]
    named = model.SerializeToString().replace(b"rgb", b"r\xffb")
    # An empty group of field 100, which parsers skip.
    for data in (named, whole + b"\xa3\x06\xa4\x06"):
        path.write_bytes(data)
        facts.write_text(replace(info, onnx_sha256=file_sha256(path)).to_json())
        with pytest.raises(ModelError, match="expected an ONNX graph"):
            load_network(load_artifact(path))
    assert capsys.readouterr().out == ""

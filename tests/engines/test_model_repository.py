"""A model repository for Triton: right by NVIDIA's own protobuf, and nothing in it is lost."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli import cli
from ladle_rt.engines.model_repository import publish_model, served_onnx, served_plan
from ladle_rt.engines.plan.cache import store
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.errors import ConfigError, LadleError, MissingDependencyError, ModelError, OutputError
from ladle_rt.models.artifact import load_artifact

PLAN = struct.pack("<I20x4B", 0x74727466, 11, 4, 0, 0) + bytes(4096)
"""As TensorRT begins one."""
SIZES = BuildSettings(sizes=((64, 96), (192, 256)), batch=4)


@pytest.fixture
def parse() -> Callable[[Path], Any]:
    """A configuration as the server reads it."""
    for name in ("grpc", "tritonclient"):
        pytest.importorskip(name, reason=f"{name} comes with the extra triton")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return lambda path: text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def export(*words: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words)])


def make_plan(folder: Path, **changes: Any) -> Path:
    manifest = PlanManifest(
        model={"name": "tiny model", "derivation": {}},
        onnx_sha256="0" * 64,
        precision="fp16",
        flavour="tensorrt",
        version="11.4.0.0",
        profiles=[[list(shape) for shape in profile] for profile in SIZES.profiles()],
        flags={},
        device={"name": "A", "compute_capability": "8.9", "cuda": "13.0"},
        calibration_sha256=None,
    )
    manifest = replace(manifest, **changes).finished(PLAN)
    path = folder / "tiny.plan"
    store(path, PLAN, manifest)
    return path


def test_a_graph(parse: Callable[[Path], Any], tiny_model: Path, tmp_path: Path) -> None:
    done = export(tiny_model, "--triton", tmp_path, "--max-batch", 5)
    assert done.exit_code == 0 and f"{tmp_path / 'tiny'}: version 1;" in done.stdout
    config = parse(tmp_path / "tiny" / "config.pbtxt")
    assert (config.name, config.backend, config.max_batch_size) == ("tiny", "onnxruntime", 5)
    assert [(one.name, list(one.dims)) for one in config.input] == [("thermal", [1, -1, -1])]
    assert [(one.name, list(one.dims)) for one in config.output] == [("rgb", [3, -1, -1])]
    assert config.version_policy.latest.num_versions == 1
    queue = config.dynamic_batching.default_queue_policy
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    assert queue.timeout_action == queue.REJECT and queue.allow_timeout_override
    warm = {one.batch_size: list(one.inputs["thermal"].dims) for one in config.model_warmup}
    assert warm == {1: [1, 64, 96], 5: [1, 64, 96]}
    # Loadable without a server too.
    served = load_artifact(tmp_path / "tiny" / "1" / "model.onnx")
    assert served.info == load_artifact(tiny_model).info


@pytest.mark.usefixtures("parse")
def test_again_adds_a_version_only_where_something_is_new(
    tiny_model: Path, tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    assert "version 1;" in export(tiny_model, "--triton", tmp_path / "r").stdout
    assert "version 1, already there" in export(tiny_model, "--triton", tmp_path / "r").stdout
    other = make_model(tmp_path / "other.onnx", weight=2)
    assert "version 2;" in export(other, "--triton", tmp_path / "r").stdout
    first, second = ((tmp_path / "r" / "tiny" / n / "model.onnx").read_bytes() for n in "12")
    assert first != second
    assert {one.name for one in (tmp_path / "r" / "tiny").iterdir()} == {"1", "2", "config.pbtxt"}


@pytest.mark.usefixtures("parse")
def test_a_configuration_that_somebody_edited_stays(tiny_model: Path, tmp_path: Path) -> None:
    assert export(tiny_model, "--triton", tmp_path).exit_code == 0
    config = tmp_path / "tiny" / "config.pbtxt"
    ours = config.read_text()
    config.write_text(ours + "# mine\n")
    refused = export(tiny_model, "--triton", tmp_path)
    assert isinstance(refused.exception, OutputError) and "--overwrite" in str(refused.exception)
    assert config.read_text().endswith("# mine\n")
    assert export(tiny_model, "--triton", tmp_path, "--overwrite").exit_code == 0
    assert config.read_text() == ours


def test_classes_are_a_second_output(
    parse: Callable[[Path], Any], tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    model = make_model(tmp_path / "seven.onnx", classes=7)
    publish_model(served_onnx(load_artifact(model), 1), tmp_path)
    config = parse(tmp_path / "tiny" / "config.pbtxt")
    assert [(one.name, one.dims[0]) for one in config.output] == [("rgb", 3), ("classes", 7)]
    assert [one.batch_size for one in config.model_warmup] == [1]


def test_a_plan(parse: Callable[[Path], Any], tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    done = export("--plan", plan, "--triton", tmp_path / "r")
    assert done.exit_code == 0, done.exception
    config = parse(tmp_path / "r" / "tiny-model" / "config.pbtxt")
    assert (config.backend, config.max_batch_size) == ("tensorrt", 4)
    (group,) = config.instance_group
    assert group.kind == group.KIND_GPU and list(group.profile) == ["0", "1"]
    assert list(config.model_warmup[1].inputs["thermal"].dims) == [1, 64, 96]
    version = tmp_path / "r" / "tiny-model" / "1"
    assert (version / "model.plan").read_bytes() == PLAN
    assert json.loads((version / "model.json").read_text())["precision"] == "fp16"


@pytest.mark.parametrize(
    ("changes", "error", "line"),
    [
        ({"flavour": "tensorrt-rtx"}, ModelError, "expected a plan of"),
        ({"model": {"name": "x", "derivation": {"io": "float16"}}}, ModelError, "--io float32"),
        ({"profiles": [[[1, 1, 64, 96]] * 3]}, ConfigError, "this plan takes 1; build one with"),
    ],
)
def test_plans_that_cannot_be_served(
    tmp_path: Path, changes: dict[str, Any], error: type[LadleError], line: str
) -> None:
    with pytest.raises(error, match=line):
        served_plan(make_plan(tmp_path, **changes), 2)


def test_a_border_of_half_precision_is_refused(tmp_path: Path) -> None:
    assert (
        export("--precision", "fp16", "--io", "float16", "-o", tmp_path / "h.onnx").exit_code == 0
    )
    with pytest.raises(ModelError, match="expected a border of float32, received float16"):
        served_onnx(load_artifact(tmp_path / "h.onnx"), 8)


@pytest.mark.parametrize(
    "words",
    [[], ["-o", "x.onnx", "--triton", "r"], ["-o", "x.onnx", "--max-batch", "2"],
     ["--triton", "r", "--plan", "p", "--model", "m"]],
)  # fmt: skip
def test_wrong_usage(words: list[str]) -> None:
    assert export(*words).exit_code == 2


def test_without_tritonclient(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient", None)
    refused = export(tiny_model, "--triton", tmp_path / "r")
    assert isinstance(refused.exception, MissingDependencyError)
    assert "ladle-rt[triton]" in str(refused.exception) and not (tmp_path / "r").exists()

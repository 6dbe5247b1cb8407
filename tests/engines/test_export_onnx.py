"""Export: one graph for every batch and size, equal to torch, with its facts and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from model_facts import bare_info
from torch import Tensor, nn

from ladle_rt.engines.export_onnx import TOLERANCE, export_onnx, with_metrics
from ladle_rt.errors import BackendError, ConfigError, InputError, OutputError
from ladle_rt.models.artifact import METADATA_KEY, load_artifact
from ladle_rt.models.classes import category_scores
from ladle_rt.models.registry import build, config_to_dict, preset_config

CONFIG = replace(preset_config("ladlenet-plus", "nano"), channels=(4, 8), refine_channels=2)
PLAIN = {
    "Add",
    "Clip",
    "Concat",
    "Conv",
    "DepthToSpace",
    "Div",
    "LeakyRelu",
    "MaxPool",
    "Mul",
    "ReduceMean",
    "Relu",
    "Resize",
    "Sigmoid",
    "Slice",
    "Sub",
}
"""No shapes, no normalisations that could have been folded, no transposed convolutions."""
INFO = bare_info(
    "test",
    "ladlenet-plus",
    config=config_to_dict(CONFIG),
    train_size=(48, 64),
    size_multiple=CONFIG.size_multiple,
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    torch.manual_seed(0)
    model = build("ladlenet-plus", CONFIG).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Statistics as of a trained network: folding them wrongly would show.
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    result = export_onnx(model, INFO, path)
    assert result.max_abs_error <= TOLERANCE
    return model, path


def test_graph_keeps_the_contract(exported: tuple[nn.Module, Path]) -> None:
    _, path = exported
    graph = onnx.load(path)
    assert [entry.version for entry in graph.opset_import if not entry.domain] == [20]
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (graph.graph.input[0], graph.graph.output[0])
    ]
    assert shapes == [["batch", 1, "8*h", "8*w"], ["batch", 3, "8*h", "8*w"]]
    assert {entry.key for entry in graph.metadata_props} == {METADATA_KEY}
    assert json.loads(graph.metadata_props[0].value) == load_artifact(path).info.facts()


def test_graph_is_plain(exported: tuple[nn.Module, Path]) -> None:
    graph = onnx.load(exported[1]).graph
    assert {node.op_type for node in graph.node} <= PLAIN
    shapes = {entry.name: list(entry.dims) for entry in graph.initializer}
    for node in graph.node:
        assert node.op_type != "Resize" or node.input[2] in shapes, "fixed scales"
    (scaled,) = [node.output[0] for node in graph.node if node.op_type == "Div"]
    (stem,) = [node for node in graph.node if scaled in node.input]
    assert shapes[stem.input[1]] == [32, 1, 3, 3], "one channel enters the encoder"


def test_context_channels_stay_inside_the_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, context=True)
    model = build("ladlenet-plus", config).eval()
    nn.init.normal_(model.get_parameter("handle.network.encoder.model.conv_stem.extra"))
    info = replace(INFO, config=config_to_dict(config))
    result = export_onnx(model, info, tmp_path / "m.onnx")
    assert result.max_abs_error < TOLERANCE
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [(i.name, len(i.type.tensor_type.shape.dim)) for i in graph.input] == [("thermal", 4)]
    # The row needs the frame's size, and nothing else does.
    operations = {node.op_type for node in graph.node}
    assert operations - PLAIN <= {"AveragePool", "Shape", "Sqrt", "Expand", "Gather", "Cast"}


def test_classes_are_a_second_output(tmp_path: Path) -> None:
    model = build("ladlenet-plus", CONFIG).eval()
    with pytest.raises(ConfigError, match="trained with the semantics term, received test"):
        export_onnx(model, INFO, tmp_path / "m.onnx", classes=True)
    info = replace(INFO, training={"config": {"loss": {"semantics": 0.1}}})
    export_onnx(model, info, tmp_path / "m.onnx", classes=True)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    thermal = np.random.default_rng(0).random((2, 1, 64, 96), np.float32)
    rgb, classes = session.run(["rgb", "classes"], {"thermal": thermal})
    assert rgb.shape == (2, 3, 64, 96) and classes.shape == (2, 7, 64, 96)
    with torch.no_grad():
        logits, _ = model.logits_and_rgb(torch.from_numpy(thermal))
    coarse = category_scores(logits)
    middle = classes[:, :, 16:48, 16:80]
    assert abs(middle.mean() - coarse.mean().item()) < 0.2
    assert coarse.min() - 1e-3 <= classes.min() and classes.max() <= coarse.max() + 1e-3


def test_graph_names_no_path_of_this_machine(exported: tuple[nn.Module, Path]) -> None:
    data = exported[1].read_bytes()
    assert b"site-packages" not in data and str(Path(__file__).parents[2]).encode() not in data


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 1, 56, 24)])
def test_graph_equals_torch_at_any_size(
    exported: tuple[nn.Module, Path], engine: str, shape: tuple[int, ...]
) -> None:
    model, path = exported
    torch.manual_seed(1)
    thermal = torch.rand(shape)
    if engine == "openvino":
        openvino = pytest.importorskip("openvino")
        precise = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(openvino.Core().read_model(path), "CPU", precise)
        received = next(iter(compiled(thermal.numpy()).values()))
    else:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        received = session.run(["rgb"], {"thermal": thermal.numpy()})[0]
    with torch.no_grad():
        assert np.abs(received - model(thermal).numpy()).max() <= TOLERANCE


def test_targets_are_checked_first(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    model, path = exported
    with pytest.raises(OutputError, match="exists"):
        export_onnx(model, INFO, path)
    with pytest.raises(OutputError, match=r"ending in \.onnx"):
        export_onnx(model, INFO, tmp_path / "model.bin")
    with pytest.raises(OutputError, match="expected a folder"):
        export_onnx(model, INFO, tmp_path / "none" / "model.onnx")


def test_metrics_travel_with_the_model(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"means": {"all": {"images": 1}}}))
    assert with_metrics(INFO, path).metrics == {"evaluation": {"all": {"images": 1}}}
    for text in ("[]", "{}", "no"):
        path.write_text(text)
        with pytest.raises(InputError, match="expected the JSON of `ladle-rt evaluate`"):
            with_metrics(INFO, path)


class _NotANumber(nn.Module):
    def forward(self, thermal: Tensor) -> Tensor:
        """A graph whose output is never a number."""
        return torch.log(-1 - thermal).repeat(1, 3, 1, 1)


def test_a_graph_that_differs_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="differs from torch"):
        export_onnx(_NotANumber(), replace(INFO, size_multiple=8), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []

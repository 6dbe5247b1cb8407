"""Fixtures that every test may use: development data, and tiny real models."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model_facts import bare_info
from onnx import TensorProto, helper, numpy_helper

from ladle_rt.models.artifact import METADATA_KEY, ModelInfo, file_sha256

# A shell's background job ignores SIGINT, one under nohup SIGHUP, and what tests start inherits
# that; some tests interrupt or hang up on those.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Some tests start programs, hundreds in all; each would compile the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TINY_INFO = bare_info(parameters=30, macs=30 * 64 * 96)


@pytest.fixture(autouse=True)
def _own_torch_threads() -> Iterator[None]:
    """The torch backend sets the number of torch's threads; the tests after it keep their own."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    yield
    if before is not None:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real development data beside the checkout; users do not have it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"development data not present at ../shared/data ({folder.parent.name})")
    return folder


def write_model(
    path: Path,
    *,
    weight: float = 1.0,
    inputs: int = 1,
    outputs: int = 3,
    input_name: str = "thermal",
    bounded: bool = True,
    classes: int = 0,
    info: ModelInfo = TINY_INFO,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """Write a one-convolution translation network and its JSON.

    The network smooths the thermal image with a 3x3 box and tints it: red follows the thermal
    value, green half of it, blue its inverse. Of ``classes`` the last is likeliest where the
    thermal value is above a half, the first below.
    """
    gains = np.resize(np.array([4.0, 2.0, -4.0], np.float32), outputs) * np.float32(weight)
    kernel = np.broadcast_to((gains / 9)[:, None, None, None], (outputs, inputs, 3, 3))
    bias = np.resize(np.array([-2.0, -1.0, 2.0], np.float32), outputs)
    nodes = [
        helper.make_node("Conv", [input_name, "weight", "bias"], ["linear"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid" if bounded else "Identity", ["linear"], ["rgb"]),
    ]
    weights = {"weight": np.ascontiguousarray(kernel), "bias": bias}
    results = {"rgb": outputs}
    if classes:
        nodes.append(helper.make_node("Conv", [input_name, "scores", "offsets"], ["classes"]))
        steps = np.linspace(-1, 1, classes, dtype=np.float32)
        weights |= {"scores": steps.reshape(-1, 1, 1, 1), "offsets": -steps / 2}
        results["classes"] = classes
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["n", inputs, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
            for name, channels in results.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    facts = info.facts() if metadata is None else metadata
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(facts))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    described = replace(info, onnx_sha256=file_sha256(path))
    path.with_suffix(".json").write_text(described.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Path]:
    """`write_model`, for models with something wrong."""
    return write_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small real model: an ``.onnx`` with its ``.json`` beside it."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")

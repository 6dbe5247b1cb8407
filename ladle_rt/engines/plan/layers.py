"""What a plan is made of: the engine inspector's report, in the forms of TensorRT 10.x and 11.x,
and the builder's own, which needs no GPU."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.documents import parse_json
from ladle_rt.errors import BackendError


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a built engine; several of the graph may be fused in it."""

    name: str
    kind: str
    output: str
    """Element type and memory format of the first output, as the inspector says them."""
    tactic: str
    """The chosen kernel, where the inspector names it."""


def parse_layers(text: str) -> tuple[Layer, ...]:
    """Read ``EngineInspector.get_engine_information(JSON)``.

    Layers are objects, or bare names if the plan was built without detailed verbosity. Tensors
    say ``Format/Datatype`` in 10.x; 11.x says ``DataType`` and ``Format`` apart.

    Raises:
        BackendError: not such a report.
    """
    try:
        layers = parse_json(text)["Layers"]
        return tuple(_layer(layer) for layer in layers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendError(
            f"expected the engine inspector's JSON, received something else ({error!r})"
        ) from error


def inspect_layers(tensorrt: TensorRT, engine: Any) -> tuple[Layer, ...]:
    """The layers of a deserialised engine (needs a GPU)."""
    trt = tensorrt.module
    inspector = engine.create_engine_inspector()
    return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def summarize(layers: Sequence[Layer]) -> list[tuple[str, str, int]]:
    """How many layers of each kind and output type, most frequent first."""
    counts = Counter((layer.kind, layer.output) for layer in layers)
    return [(kind, output, count) for (kind, output), count in counts.most_common()]


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The builder's own account of a plan for one size."""

    kernels: int
    """What is launched for a frame; waits and signals between streams are not."""
    outputs: dict[str, int]
    """How many activations are written in each element type, as TensorRT names it."""
    activation_bytes: int
    """Read and written by all kernels for one frame, weights left out."""

    def facts(self) -> dict[str, Any]:
        """JSON-ready, for records."""
        return {
            "kernels": self.kernels,
            "outputs": self.outputs,
            "activation_megabytes": round(self.activation_bytes / 1e6, 2),
        }


_BUILT_LAYER = re.compile(
    r"^(?:VERBOSE: )?Name: .*?, LayerType: (\w+), Inputs: \[(.*?)\], Constants: \[.*?\], "
    r"Outputs: \[(.*?)\], TacticName: ",
    re.MULTILINE,
)
_TENSOR = re.compile(r"Dimensions: \[([-\d,]*)\].*?Datatype: (\w+)")
_ORDER = ("signal", "wait")
"""Layers that order streams and compute nothing."""
_ITEM_BYTES = {"Float": 4, "Half": 2, "BFloat16": 2, "Int8": 1, "Bool": 1, "Int32": 4, "Int64": 8}


def parse_build_log(text: str) -> BuildReport:
    """Read the layers that TensorRT-RTX prints while it builds.

    Args:
        text: log of `ladle_rt.engines.plan.builder.build_plan`, of a plan with one fixed size.

    Raises:
        BackendError: no layers in it, a size that is not fixed, or an unknown element type.
    """
    kernels, size = 0, 0
    outputs: Counter[str] = Counter()
    for kind, read, written in _BUILT_LAYER.findall(text):
        if kind in _ORDER:
            continue
        kernels += 1
        outputs.update(element for _, element in _TENSOR.findall(written))
        for dimensions, element in _TENSOR.findall(f"{read} {written}"):
            sides = [int(side) for side in dimensions.split(",") if side]
            if min(sides, default=1) < 0 or element not in _ITEM_BYTES:
                raise BackendError(
                    "expected the builder's log of a plan with one fixed size, received a tensor "
                    f"{element} [{dimensions}]"
                )
            size += math.prod(sides) * _ITEM_BYTES[element]
    if not kernels:
        raise BackendError("expected the log of TensorRT-RTX's builder, received no layers")
    return BuildReport(kernels, dict(outputs), size)


def _layer(layer: Any) -> Layer:
    if isinstance(layer, str):
        return Layer(layer, "", "", "")
    outputs = layer.get("Outputs") or [{}]
    first = outputs[0]
    kind = first.get("Format/Datatype") or " ".join(
        part for part in (first.get("DataType"), first.get("Format")) if part
    )
    return Layer(
        str(layer.get("Name", "")),
        str(layer.get("LayerType", "")),
        str(kind),
        str(layer.get("TacticName", "")),
    )

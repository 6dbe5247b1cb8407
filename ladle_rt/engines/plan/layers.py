"""The engine inspector's report, in the forms of TensorRT 10.x and 11.x."""

from __future__ import annotations

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

"""A model as users have it: an ONNX graph and a JSON file of the same stem beside it.

The JSON says what the graph was trained with; the run time obeys it, so that training and
inference can never disagree. It names the graph's SHA-256: a pair that does not belong
together is refused before anything runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ladle_rt.documents import parse_json, read_text
from ladle_rt.errors import ConfigError, ModelError
from ladle_rt.structure import structure
from ladle_rt.thermal.normalization import ThermalNormalization

INPUT_NAME = "thermal"
"""Graph input: float32 [N,1,H,W] in [0,1], H and W divisible by `ModelInfo.size_multiple`."""
OUTPUT_NAME = "rgb"
"""Graph output: float32 [N,3,H,W], RGB in [0,1]."""
CLASSES_NAME = "classes"
"""Optional second output: float32 [N,7,H,W], scores of `ladle_rt.models.classes`."""
METADATA_KEY = "ladle_rt"
"""ONNX metadata entry that carries the same facts as the JSON, less the hash."""
DEFAULT_MODEL = "ladlenet-plus-daylight"
"""The shipped model that every command uses unless told otherwise."""

_OPTIONAL: dict[str, Any] = {"derivation": {}, "look": "none"}
"""Left out where they say nothing, as in every model of before they came up."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model's JSON says."""

    name: str
    """Human-readable name, unique among shipped models."""
    architecture: str
    """Name in the registry, for example ``ladlenet``."""
    config: dict[str, Any]
    """The architecture's configuration, enough to rebuild it for the safetensors."""
    thermal: ThermalNormalization
    """How raw counts become the graph's input."""
    train_size: tuple[int, int]
    """Height and width of the training crops, pixels; the default network size."""
    size_multiple: int
    """Input sides must be divisible by this."""
    parameters: int
    """Learned parameters."""
    macs: int
    """Multiply-accumulates for one frame of ``train_size``."""
    training: dict[str, Any]
    """Datasets with terms, steps, loss, code version."""
    metrics: dict[str, Any]
    """Measured quality, by dataset and split, with the trivial baselines."""
    onnx_sha256: str
    """Hex digest of the graph file this JSON belongs to; empty before export."""
    derivation: dict[str, Any] = field(default_factory=dict)
    """How the graph was made from another; empty for fp32. ``precision`` is ``fp16`` or ``int8``,
    ``from_sha256`` the fp32 graph, ``io`` the element type at the border (float32 or float16).
    Of int8 also ``base`` (fp32 or fp16: what is not quantised), ``float_nodes`` (convolutions left
    unquantised) and ``calibration_sha256``."""
    look: str = "none"
    """Look that its targets were graded to, see `ladle_rt.datasets.look`; models of before 0.5
    have none."""

    @property
    def precision(self) -> str:
        """``fp32``, ``fp16`` or ``int8``."""
        return str(self.derivation.get("precision", "fp32"))

    def facts(self) -> dict[str, Any]:
        """Everything but the hash, JSON-ready: what the ONNX metadata carries."""
        values = asdict(self)
        del values["onnx_sha256"]
        for name, nothing in _OPTIONAL.items():
            if values[name] == nothing:
                del values[name]
        values["thermal"] = self.thermal.to_dict()
        values["train_size"] = list(self.train_size)
        return values

    def to_json(self) -> str:
        """The JSON file's text."""
        return json.dumps({**self.facts(), "onnx_sha256": self.onnx_sha256}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, origin: str) -> ModelInfo:
        """Parse and check a model JSON.

        Args:
            text: the file's content.
            origin: what to call it in messages.

        Raises:
            ModelError: not JSON, fields missing, unknown or of the wrong kind.
        """
        try:
            values = parse_json(text)
        except ValueError as error:
            raise ModelError(f"{origin}: expected a model JSON, received {error}") from error
        try:
            if isinstance(values, dict) and isinstance(values.get("thermal"), dict):
                # A model states all of them: its levels must not follow a later default.
                values["thermal"] = ThermalNormalization.from_dict(values["thermal"])
            info = structure(cls, values, origin, ModelError)
        except (ConfigError, ModelError) as error:
            place = "" if isinstance(error, ModelError) else f"{origin}: "
            raise ModelError(f"{place}{error}; export the model again") from error
        height, width = info.train_size
        if (
            min(info.size_multiple, height, width) < 1
            or height % info.size_multiple
            or width % info.size_multiple
        ):
            raise ModelError(
                f"{origin}: train_size {height}x{width} is not positive and divisible by "
                f"size_multiple {info.size_multiple}"
            )
        return info


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """A checked pair of graph and JSON."""

    onnx_path: Path
    info: ModelInfo


def shipped_models() -> dict[str, Path]:
    """Graph files inside the installed package, by model name."""
    folder = Path(str(resources.files("ladle_rt") / "weights"))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def load_artifact(model: str | Path = DEFAULT_MODEL) -> ModelArtifact:
    """Find a model and check that its two files belong together.

    Args:
        model: the name of a shipped model, or the path of an ``.onnx`` file whose JSON
            lies beside it under the same stem.

    Raises:
        ModelError: unknown name, missing file, unreadable JSON or wrong hash.
    """
    shipped = shipped_models()
    path = shipped.get(str(model), Path(model))
    if not path.is_file():
        raise ModelError(
            f"model {str(model)!r}: expected an .onnx file or one of {sorted(shipped)}, "
            "found neither"
        )
    json_path = path.with_suffix(".json")
    if not json_path.is_file():
        raise ModelError(
            f"{path}: expected its facts beside it in {json_path.name}, found no such file; "
            "export the model with `ladle-rt export`"
        )
    info = ModelInfo.from_json(read_text(json_path, "a model JSON", ModelError), str(json_path))
    digest = file_sha256(path)
    if digest != info.onnx_sha256:
        raise ModelError(
            f"{path}: {json_path.name} describes another file (expected SHA-256 "
            f"{info.onnx_sha256[:12] or 'none'}…, received {digest[:12]}…); export the model again"
        )
    return ModelArtifact(path, info)


def file_stem(name: str) -> str:
    """A model's name as files, folders and servers have it."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)[:80].strip("-.") or "model"


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

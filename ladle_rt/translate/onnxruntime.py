"""Networks in ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from typing import Any

import onnxruntime

from ladle_rt.errors import ModelError
from ladle_rt.models.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, ModelArtifact
from ladle_rt.translate.network import (
    Array,
    Runner,
    check_interface,
    check_output,
    engine_errors,
)

_ELEMENTS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRuntimeNetwork:
    """One session that all workers share, one thread per run.

    One thread per frame and several frames at a time: no barriers inside the network, and no
    thread pool that spins beside the decoder and the encoder.

    Raises:
        ModelError: not an ONNX graph, or one that breaks the contract.
    """

    name = "onnxruntime"

    def __init__(self, artifact: ModelArtifact) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                str(artifact.onnx_path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            line = str(error).strip().splitlines()[0]
            raise ModelError(f"{artifact.onnx_path}: expected an ONNX graph: {line}") from error
        check_interface(artifact, _describe(session.get_inputs()), _describe(session.get_outputs()))
        _check_metadata(artifact, session.get_modelmeta().custom_metadata_map)
        self._session = session
        check_output(artifact, self.runner())

    def runner(self) -> Runner:
        """A call into the shared session; ONNX Runtime allows concurrent runs."""
        session = self._session

        def run(thermal: Array) -> Array:
            with engine_errors(self.name, thermal):
                output: Array = session.run([OUTPUT_NAME], {INPUT_NAME: thermal})[0]
            return output

        return run


def _describe(values: Any) -> list[tuple[str, str, list[Any]]]:
    return [
        (
            value.name,
            _ELEMENTS.get(value.type, value.type),
            [size if isinstance(size, int) else None for size in value.shape or []],
        )
        for value in values
    ]


def _check_metadata(artifact: ModelArtifact, metadata: dict[str, str]) -> None:
    """The facts inside the graph, where there are any, are those of the JSON."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        return
    try:
        facts = json.loads(text)
    except json.JSONDecodeError:
        facts = None
    if facts != json.loads(json.dumps(artifact.info.facts())):
        raise ModelError(
            f"{artifact.onnx_path}: its own facts differ from its JSON's; export the model again"
        )

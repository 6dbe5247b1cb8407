"""Networks in ONNX Runtime on the CPU."""

from __future__ import annotations

import functools
import json
import threading
from typing import Any

import onnxruntime

from ladle_rt.documents import parse_json
from ladle_rt.errors import ModelError, first_line
from ladle_rt.models.artifact import INPUT_NAME, METADATA_KEY, ModelArtifact
from ladle_rt.translate import model_limits
from ladle_rt.translate.graph_outputs import only_output
from ladle_rt.translate.network import (
    Array,
    Output,
    Runner,
    check_interface,
    check_output,
    engine_errors,
)

_ELEMENTS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRuntimeNetwork:
    """One session that all workers share, one thread per run, for one output of the graph.

    One thread per frame and several frames at a time: no barriers inside the network, and no
    thread pool that spins beside the decoder and the encoder.

    Raises:
        ModelError: not an ONNX graph, or one that breaks the contract.
    """

    name = "onnxruntime"

    def __init__(self, artifact: ModelArtifact, workers: int = 1, output: Output = "rgb") -> None:
        # One session serves any number of workers.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        _limit_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        session = _open(artifact, str(artifact.onnx_path), options)
        try:
            inputs, outputs = _describe(session.get_inputs()), _describe(session.get_outputs())
            metadata = session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise ModelError(
                f"{artifact.onnx_path}: expected an ONNX graph, received names that are not UTF-8"
            ) from error
        check_interface(artifact.onnx_path, inputs, outputs, output)
        model_limits.check_operators(artifact)
        _check_metadata(artifact, metadata)
        if len(outputs) > 1:
            reduced = only_output(artifact.onnx_path.read_bytes(), output)
            session = _open(artifact, reduced, options)
        self._session, self._output = session, output
        check_output(artifact, self._probe, output)

    def runner(self) -> Runner:
        """A call into the shared session; ONNX Runtime allows concurrent runs."""
        session, names = self._session, [self._output]

        def run(thermal: Array) -> Array:
            with engine_errors(self.name, thermal):
                output: Array = session.run(names, {INPUT_NAME: thermal})[0]
            return output

        return run

    def _probe(self, thermal: Array) -> Array:
        """A run that ends after `limits.PROBE_S`, at the end of the node that runs then."""
        options = onnxruntime.RunOptions()
        late = threading.Timer(model_limits.PROBE_S, setattr, (options, "terminate", True))
        late.daemon = True
        late.start()
        try:
            output: Array = self._session.run([self._output], {INPUT_NAME: thermal}, options)[0]
        except Exception as error:
            raise model_limits.too_slow() if options.terminate else error from None
        finally:
            late.cancel()
        return output


@functools.cache
def _limit_memory() -> None:
    """Make the allocator that this process's sessions share; ONNX Runtime allows one."""
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    growth = {"arena_extend_strategy": -1, "initial_chunk_size_bytes": -1}
    bounds = {"max_mem": model_limits.memory_limit(), "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(growth | bounds))


def _open(
    artifact: ModelArtifact, model: str | bytes, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    try:
        # Falling back to the same provider would only print a banner on standard output.
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:
        raise ModelError(
            f"{artifact.onnx_path}: expected an ONNX graph: {first_line(error)}"
        ) from error


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
        facts = parse_json(text)
    except ValueError:
        facts = None
    if facts != json.loads(json.dumps(artifact.info.facts())):
        raise ModelError(
            f"{artifact.onnx_path}: its own facts differ from its JSON's; export the model again"
        )

"""Networks in OpenVINO on the CPU (extra ``openvino``)."""

from __future__ import annotations

from functools import cache
from typing import Any

from ladle_rt.errors import ModelError, require
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.network import (
    Array,
    Runner,
    check_interface,
    check_output,
    engine_errors,
)


class OpenVinoNetwork:
    """One compiled model with a stream of one thread per worker.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ModelError: not an ONNX graph, or one that breaks the contract.
    """

    name = "openvino"

    def __init__(self, artifact: ModelArtifact, workers: int) -> None:
        core = _core(require("openvino", "openvino"))
        try:
            model = core.read_model(str(artifact.onnx_path))
        except Exception as error:
            line = str(error).strip().splitlines()[-1].strip()
            raise ModelError(f"{artifact.onnx_path}: expected an ONNX graph: {line}") from error
        check_interface(artifact, _describe(model.inputs), _describe(model.outputs))
        self._compiled = core.compile_model(
            model, "CPU", {"NUM_STREAMS": workers, "INFERENCE_NUM_THREADS": workers}
        )
        check_output(artifact, self.runner())

    def runner(self) -> Runner:
        """An inference request of its own."""
        request = self._compiled.create_infer_request()

        def run(thermal: Array) -> Array:
            with engine_errors(self.name, thermal):
                request.infer([thermal], share_inputs=True)
            output: Array = request.get_output_tensor(0).data
            return output

        return run


@cache
def _core(openvino: Any) -> Any:
    """One for the whole process, never freed.

    On x86 Linux each one's CPU plugin installs a signal stack and, when it is freed, its
    predecessor's (openvino pull request 11894). Of two that overlap, the first freed leaves the
    second to install memory that is gone: the next signal, Ctrl-C for one, kills the process.
    """
    return openvino.Core()


def _describe(ports: Any) -> list[tuple[str, str, list[Any]]]:
    return [
        (
            port.any_name,
            "float32" if port.element_type.get_type_name() == "f32" else str(port.element_type),
            [None if size.is_dynamic else size.get_length() for size in port.partial_shape],
        )
        for port in ports
    ]

"""Networks in OpenVINO on the CPU (extra ``openvino``)."""

from __future__ import annotations

from functools import cache
from typing import Any

from ladle_rt.errors import BackendError, ModelError, require
from ladle_rt.models.artifact import ModelArtifact, shipped_models
from ladle_rt.similarity import psnr_db
from ladle_rt.translate import model_limits
from ladle_rt.translate.network import (
    Array,
    Output,
    Runner,
    check_interface,
    check_output,
    engine_errors,
    probe_frame,
)
from ladle_rt.translate.onnxruntime_backend import OnnxRuntimeNetwork

LEAST_PSNR_DB = 32.0
"""Between two engines' pictures of one INT8 graph; of a ramp right ones differ by rounding
(43 dB), wrong ones had 21."""


class OpenVinoNetwork:
    """One compiled model with a stream of one thread per worker, for one output of the graph.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ModelError: not an ONNX graph, or one that breaks the contract.
        BackendError: an INT8 graph that OpenVINO computes wrongly on this processor.
    """

    name = "openvino"

    def __init__(self, artifact: ModelArtifact, workers: int, output: Output = "rgb") -> None:
        openvino = require("openvino", "openvino")
        if artifact.onnx_path not in shipped_models().values():
            # OpenVINO's memory cannot be bounded: ONNX Runtime refuses what takes too much.
            OnnxRuntimeNetwork(artifact, output=output)
        core = _core(openvino)
        try:
            model = core.read_model(str(artifact.onnx_path))
        except Exception as error:
            line = str(error).strip().splitlines()[-1].strip()
            raise ModelError(f"{artifact.onnx_path}: expected an ONNX graph: {line}") from error
        check_interface(
            artifact.onnx_path, _describe(model.inputs), _describe(model.outputs), output
        )
        model_limits.check_operators(artifact)
        if len(model.outputs) > 1:
            model = openvino.Model([model.output(output)], model.get_parameters())
        # Left to itself OpenVINO computes fp32 graphs in bfloat16 where the processor has it: 46 dB
        # from fp32, measured.
        settings = {
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": workers,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        check_output(artifact, self._probe, output)
        if artifact.info.precision == "int8" and output == "rgb":
            _check_int8(artifact, self.runner())

    def _probe(self, thermal: Array) -> Array:
        """A run that ends after `limits.PROBE_S`."""
        request = self._compiled.create_infer_request()
        request.start_async([thermal])
        if not request.wait_for(round(1000 * model_limits.PROBE_S)):
            request.cancel()
            raise model_limits.too_slow()
        output: Array = request.get_output_tensor(0).data
        return output

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


def _check_int8(artifact: ModelArtifact, run: Runner) -> None:
    """Refuse an INT8 graph that OpenVINO computes wrongly.

    Seen with 2026.4 on a processor without VNNI: convolutions behind a Concat of signed inputs
    come out wrong (26 dB to fp32 where ONNX Runtime has 39).

    Raises:
        BackendError: the picture is not ONNX Runtime's.
    """
    probe = probe_frame(artifact)
    expected = OnnxRuntimeNetwork(artifact).runner()(probe)
    quality = psnr_db(run(probe), expected)
    if quality < LEAST_PSNR_DB:
        raise BackendError(
            f"OpenVINO computes {artifact.onnx_path.name} wrongly on this processor "
            f"({quality:.0f} dB to ONNX Runtime); take --backend onnxruntime or the fp32 model"
        )


def _describe(ports: Any) -> list[tuple[str, str, list[Any]]]:
    return [
        (
            port.any_name,
            "float32" if port.element_type.get_type_name() == "f32" else str(port.element_type),
            [None if size.is_dynamic else size.get_length() for size in port.partial_shape],
        )
        for port in ports
    ]

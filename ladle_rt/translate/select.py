"""Making a translator of an engine that has been chosen.

Which one is chosen where the user left it open is decided above, in
`ladle_rt.pipeline.engine_choice`, because it needs to know the plans on disk.
"""

from __future__ import annotations

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.device import usable_cores
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.base import Translator
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.network import Network, Output
from ladle_rt.translate.workers import CpuTranslator

__all__ = ["PictureSpec", "create_translator", "load_network"]


def load_network(
    artifact: ModelArtifact,
    backend: Backend = "auto",
    workers: int = 1,
    output: Output = "rgb",
) -> Network:
    """Load a model into an engine on the CPU and check it.

    Args:
        artifact: the model.
        backend: ``auto`` is ONNX Runtime. OpenVINO runs the shipped fp32 network no faster and
            starts later; see ``benchmarks/results/video_cpu.json``.
        workers: threads that will run it.
        output: what the network's runners give.

    Raises:
        MissingDependencyError: the engine is not installed.
        ModelError: the graph is damaged, foreign, gives no picture or has no such output.
        ConfigError: an engine that has no CPU form.
    """
    if backend == "openvino":
        from ladle_rt.translate.openvino import OpenVinoNetwork

        return OpenVinoNetwork(artifact, workers, output)
    if backend == "torch":
        from ladle_rt.translate.torch_backend import TorchNetwork

        return TorchNetwork(artifact)
    if backend not in ("auto", "onnxruntime"):
        raise ConfigError(f"{backend} runs on a GPU only; choose onnxruntime, openvino or torch")
    from ladle_rt.translate.onnxruntime import OnnxRuntimeNetwork

    return OnnxRuntimeNetwork(artifact, output)


def create_translator(
    artifact: ModelArtifact, options: TranslateOptions, picture: PictureSpec
) -> Translator:
    """Make a translator on the CPU for a model.

    Raises:
        MissingDependencyError: the engine is not installed.
        ModelError: the graph is damaged, foreign, gives no picture or lacks the classes that
            the layout shows.
        ConfigError: an engine that has no CPU form.
    """
    workers = options.threads or usable_cores()
    output: Output = "classes" if options.layout == "semantic" else "rgb"
    network = load_network(artifact, options.backend, workers, output)
    return CpuTranslator(network, artifact.info, options, picture, workers)

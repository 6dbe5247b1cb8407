"""Choosing an engine and making a translator of it."""

from __future__ import annotations

from ladle_rt.config import Backend, TranslateOptions
from ladle_rt.device import usable_cores
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.base import Translator
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.network import Network
from ladle_rt.translate.workers import CpuTranslator

__all__ = ["PictureSpec", "create_translator", "load_network", "resolve_backend"]


def resolve_backend(backend: Backend) -> Backend:
    """What ``auto`` means: ONNX Runtime.

    OpenVINO runs the shipped fp32 network no faster and starts later; see
    ``benchmarks/results/video_cpu.json``.
    """
    return "onnxruntime" if backend == "auto" else backend


def load_network(artifact: ModelArtifact, backend: Backend = "auto", workers: int = 1) -> Network:
    """Load a model into an engine and check it.

    Raises:
        MissingDependencyError: the engine is not installed.
        ModelError: the graph is damaged, foreign or gives no picture.
    """
    if resolve_backend(backend) == "openvino":
        from ladle_rt.translate.openvino import OpenVinoNetwork

        return OpenVinoNetwork(artifact, workers)
    from ladle_rt.translate.onnxruntime import OnnxRuntimeNetwork

    return OnnxRuntimeNetwork(artifact)


def create_translator(
    artifact: ModelArtifact, options: TranslateOptions, picture: PictureSpec
) -> Translator:
    """Make a translator for a model.

    Raises:
        MissingDependencyError: the engine is not installed.
        ModelError: the graph is damaged, foreign or gives no picture.
    """
    workers = options.threads or usable_cores()
    network = load_network(artifact, options.backend, workers)
    return CpuTranslator(network, artifact.info, options, picture, workers)

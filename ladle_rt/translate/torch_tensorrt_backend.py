"""Networks compiled by Torch-TensorRT (extra ``torch-tensorrt``), on CUDA only.

Torch-TensorRT does not import without a driver, so the driver is asked first.
"""

from __future__ import annotations

from typing import Any

from ladle_rt.cuda.probe import find_gpu
from ladle_rt.errors import require
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.translate.torch_backend import TorchEngine


def torch_tensorrt_engine(artifact: ModelArtifact, shape: tuple[int, int]) -> TorchEngine:
    """A `TorchEngine` whose module is compiled for one height and width.

    Raises:
        BackendError: no GPU.
        MissingDependencyError: Torch-TensorRT is not installed.
        ModelError: no weights; see `ladle_rt.translate.torch_backend.load_module`.
    """
    find_gpu()
    compiler = require("torch_tensorrt", "torch-tensorrt")

    def compile_module(torch: Any, module: Any) -> Any:
        frame = torch.zeros((1, 1, *shape), dtype=torch.float16, device="cuda")
        return compiler.compile(
            module, ir="dynamo", inputs=[frame], enabled_precisions={torch.float16}
        )

    return TorchEngine(artifact, compile_module, only=shape)

"""Triton's backend ``onnxruntime``, written in Python for servers that come without the real one.

Lies as ``BACKENDS/onnxruntime/model.py``; Triton runs it in a process of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One ONNX graph of a model repository."""

    def initialize(self, args: dict[str, Any]) -> None:
        config = json.loads(args["model_config"])
        assert config["backend"] == "onnxruntime"
        folder = Path(args["model_repository"], args["model_version"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self.largest_batch = 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """What the dynamic batcher gathered, in one run."""
        inputs = [pb_utils.get_input_tensor_by_name(one, "thermal").as_numpy() for one in requests]
        output = self.session.run(["rgb"], {"thermal": np.concatenate(inputs)})[0]
        ends = np.cumsum([len(one) for one in inputs])[:-1]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("rgb", np.ascontiguousarray(part))])
            for part in np.split(output, ends)
        ]

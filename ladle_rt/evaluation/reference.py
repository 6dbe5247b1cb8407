"""A network of torch as evaluation runs it: the reference that exports are compared with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ladle_rt.evaluation.contestant import Predict


def torch_predict(model: nn.Module) -> Predict:
    """Run a network, in evaluation mode on the CPU, as a `Predict`."""
    model = model.eval()

    def predict(thermal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            output: npt.NDArray[np.float32] = model(torch.from_numpy(thermal)).numpy()
        return output

    return predict

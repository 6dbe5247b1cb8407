"""The network as a torch module: tensor in, tensor out.  python examples/torch_user.py"""

import numpy as np
import torch

from ladle_rt.models.artifact import DEFAULT_MODEL, shipped_models
from ladle_rt.models.weights import load_model
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.thermal.normalization import normalize

device = "cuda" if torch.cuda.is_available() else "cpu"
network, info = load_model(shipped_models()[DEFAULT_MODEL].with_suffix(".safetensors"))
network = network.to(device)

# Sides must be divisible by info.size_multiple. Counts become [0, 1] as in training.
frames = list(SyntheticSource(DriveOptions(256, 192, rate=2, seconds=1)))
levelled = np.stack([normalize(frame.pixels, info.thermal) for frame in frames])
thermal = torch.from_numpy(levelled)[:, None].to(device)

with torch.inference_mode():
    rgb = network(thermal)
print(f"{info.name}: {list(thermal.shape)} -> {list(rgb.shape)} {rgb.dtype} on {rgb.device.type}")
print(f"RGB from {rgb.min():.2f} to {rgb.max():.2f}")

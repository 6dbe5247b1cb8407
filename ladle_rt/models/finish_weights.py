"""The last touches to trained weights: the mean of two models, and stronger or weaker colours.

The mean of a model and of what it was fine-tuned to is often better than both (Wortsman et al.
2022, arXiv 2109.01903). A network that is unsure of a colour paints it pale, as the mean of what
it could be; a gain on chroma, folded into the last convolutions, costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ladle_rt.colour import LUMA
from ladle_rt.errors import ModelError

LAST = ("bowl_out.weight", "bowl_out.bias")
"""The convolution whose output is the picture, its channels in three blocks of one colour each."""
REFINE = ("refine.0.weight", "refine.2.weight", "refine.2.bias")
"""Two convolutions that see that picture and add to it, where a network has them."""


def mean_of(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """``1 - share`` of one model's weights and ``share`` of another's; integers are the second's.

    Raises:
        ModelError: they are not of one architecture.
    """
    if {name: t.shape for name, t in first.items()} != {n: t.shape for n, t in second.items()}:
        raise ModelError("expected two models of one architecture, received different tensors")
    return {
        name: torch.lerp(first[name], tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in second.items()
    }


def saturated(weights: Mapping[str, Tensor], gain: float) -> dict[str, Tensor]:
    """Weights whose picture has ``gain`` times the chroma at equal luma, both before the sigmoid.

    With R, G and B the picture before it, M = gain I + (1 - gain) 1 luma^T: the last convolution
    becomes M W, and what sees the picture afterwards undoes M first.

    Raises:
        ModelError: a network without such a last convolution.
    """
    if any(name not in weights for name in LAST):
        raise ModelError(f"expected a network with {LAST[0]}, received another")
    result = dict(weights)
    luma = torch.as_tensor(LUMA.tolist(), dtype=torch.float64)
    mix = gain * torch.eye(3, dtype=torch.float64) + (1 - gain) * luma.expand(3, 3)
    for name in LAST:
        blocks = weights[name].double().reshape(3, -1, *weights[name].shape[1:])
        result[name] = _like(torch.tensordot(mix, blocks, 1).flatten(0, 1), weights[name])
    if REFINE[0] in weights:
        seen = weights[REFINE[0]].double()
        picture = torch.einsum("oihw,ij->ojhw", seen[:, :3], torch.linalg.inv(mix))
        result[REFINE[0]] = _like(torch.cat([picture, seen[:, 3:]], dim=1), seen.float())
        for name in REFINE[1:]:
            added = torch.tensordot(mix, weights[name].double(), 1)
            result[name] = _like(added, weights[name])
    return result


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    return tensor.to(other.dtype).contiguous()

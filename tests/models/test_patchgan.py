"""The discriminator sees patches of the published size and is the same for every batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ladle_rt.models.patchgan import PatchDiscriminator


def receptive_field(layers: int) -> int:
    """Side of the input patch that one logit depends on, by gradient."""
    torch.manual_seed(0)
    model = PatchDiscriminator(inputs=4, width=2, layers=layers)
    # Instance statistics see the whole picture; the patch is that of the convolutions.
    convolutions = nn.Sequential(
        *(m for m in model.stack if not isinstance(m, nn.InstanceNorm2d))
    ).double()
    picture = torch.rand(1, 4, 192, 192, dtype=torch.float64, requires_grad=True)
    logits = convolutions(picture)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert picture.grad is not None
    touched = picture.grad.abs().sum(dim=(0, 1)) > 0
    sides = [int(touched.any(dim=axis).sum()) for axis in (0, 1)]
    assert sides[0] == sides[1]
    return sides[0]


@pytest.mark.parametrize(("layers", "side"), [(2, 34), (3, 70), (4, 142)])
def test_patches_have_the_published_size(layers: int, side: int) -> None:
    assert receptive_field(layers) == side


def test_one_logit_for_each_patch() -> None:
    model = PatchDiscriminator()
    assert model(torch.rand(2, 1, 64, 96), torch.rand(2, 3, 64, 96)).shape == (2, 1, 6, 10)
    # 256x256 gives the published 30x30.
    with torch.device("meta"):
        model = PatchDiscriminator()
        judged = model(torch.empty(1, 1, 256, 256), torch.empty(1, 3, 256, 256))
    assert judged.shape == (1, 1, 30, 30)
    # The published widths: five 4x4 convolutions, each with biases, and three affine norms.
    widths = [(4, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    expected = sum(16 * a * b + b for a, b in widths) + 2 * (128 + 256 + 512)
    assert sum(p.numel() for p in model.parameters()) == expected


def test_a_picture_is_judged_alone() -> None:
    torch.manual_seed(0)
    model = PatchDiscriminator(width=4)
    thermal, rgb = torch.rand(3, 1, 32, 32), torch.rand(3, 3, 32, 32)
    batch = model(thermal, rgb)
    alone = torch.cat([model(thermal[i : i + 1], rgb[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(batch, alone)
    torch.testing.assert_close(model.eval()(thermal, rgb), batch)
    assert not torch.allclose(model(thermal, rgb.flip(0)), batch)

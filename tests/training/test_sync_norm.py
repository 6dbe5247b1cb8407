"""Synchronised batch norms against the ones they replace, in a group of one process.

What two processes make of them is in test_distributed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import distributed, nn

from ladle_rt.training.sync_norm import SyncedBatchNorm2d, synchronise_norms


@pytest.fixture
def group() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(3),
        nn.BatchNorm2d(3, eps=1e-2, momentum=None),
        nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3, track_running_stats=False),
        BatchNormAct2d(3, act_layer=nn.SiLU),
    ],
    ids=["plain", "cumulative", "not affine", "no statistics", "with activation"],
)
def test_same_function_gradients_and_statistics(norm: nn.Module) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(copy.deepcopy(norm))).double()
    synced = copy.deepcopy(plain)
    parameters = list(synced.parameters())
    synchronise_norms(synced, torch.device("cpu"))
    assert isinstance(synced[1][0], SyncedBatchNorm2d)
    assert list(synced.state_dict()) == list(plain.state_dict())
    assert all(a is b for a, b in zip(synced.parameters(), parameters, strict=True))
    for _ in range(2):
        x = torch.randn(4, 2, 5, 6, dtype=torch.float64)
        outputs = [model(x) for model in (plain, synced)]
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.pow(3).sum().backward()
    for expected, received in zip(plain.parameters(), synced.parameters(), strict=True):
        torch.testing.assert_close(received.grad, expected.grad)
    torch.testing.assert_close(synced.state_dict(), plain.state_dict())
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


@pytest.mark.usefixtures("group")
def test_half_precision_is_normalised_in_full() -> None:
    x = torch.randn(4, 3, 5, 6).bfloat16()
    synced = SyncedBatchNorm2d(3)(x)
    assert synced.dtype == torch.bfloat16
    torch.testing.assert_close(synced, nn.BatchNorm2d(3)(x))

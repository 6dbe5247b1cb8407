"""Batch normalisation over all processes of a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce that gradients flow through: every process's loss depends on every input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch statistics are those of all processes, for the CPU.

    `nn.SyncBatchNorm` exists for GPUs only. Without it each process would normalise by its own
    part of the batch, and the run would depend on how many processes share it. The mean comes
    first and the variance is that of the differences to it, as precise as one process's. All
    processes must have equally many samples.
    """

    def forward(self, input: Tensor) -> Tensor:
        """float [N,C,H,W] to the same; half precision is normalised in fp32."""
        if not self.training:
            return super().forward(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        processes = distributed.get_world_size()
        mean = _SumOverProcesses.apply(x.mean((0, 2, 3))) / processes
        centred = x - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().mean((0, 2, 3))) / processes
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), x.numel() // x.shape[1] * processes)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        y: Tensor = centred * scale[:, None, None]
        if self.affine:
            y = y + self.bias[:, None, None]
        return y.to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), momentum)


def synchronise_norms(module: nn.Module, device: torch.device) -> None:
    """Exchange the batch norms inside ``module``, in place, for ones that see all processes.

    Parameters and buffers stay the same objects, under the same names.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _synchronised(child, device))
        else:
            synchronise_norms(child, device)


def _synchronised(norm: _BatchNorm, device: torch.device) -> nn.Module:
    kind = nn.SyncBatchNorm if device.type == "cuda" else SyncedBatchNorm2d
    synced = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    synced.train(norm.training)
    for name, parameter in norm.named_parameters(recurse=False):
        setattr(synced, name, parameter)
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(synced, name, buffer)
    # timm's BatchNormAct2d is both in one.
    if isinstance(activation := getattr(norm, "act", None), nn.Module):
        synced.add_module("act", activation)
        synced.register_forward_hook(_activate)
    return synced


def _activate(norm: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    activated: Tensor = norm.get_submodule("act")(output)
    return activated

"""What a LadleNet+ Handle learns before an arm: classes, or to fill in what is hidden.

labels   cross-entropy of the Handle's categories against label maps: of thermal images these are
         pseudo-labels, since they were made on the visible side
masked   half of the picture's blocks are hidden, and a 1x1 convolution over the logits paints
         their coarse grey levels (as SimMIM does, Xie et al. 2022, arXiv 2111.09886)
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from ladle_rt.errors import ConfigError, TrainingError, TrainingStoppedError
from ladle_rt.experiments.arm_configs import PretrainingRun
from ladle_rt.files import write_text, write_whole
from ladle_rt.models.context_channels import context
from ladle_rt.models.ladlenet_plus import LadleNetPlus
from ladle_rt.models.registry import build, preset_config
from ladle_rt.training.checkpoint import load_checkpoint, save_checkpoint
from ladle_rt.training.loss import luma
from ladle_rt.training.loss_config import LossConfig
from ladle_rt.training.objective import semantics_loss
from ladle_rt.training.phases import one_cycle
from ladle_rt.training.sample_tensors import Sample
from ladle_rt.training.samples import MixedSamples
from ladle_rt.training.train_config import TrainConfig
from ladle_rt.training.training_run import mixed_seed

HANDLE = "handle.safetensors"
FACTS = "handle.json"
BLOCK = 32
"""Side of a block that is hidden or not, pixels."""
HIDDEN = 0.5
"""Share of the blocks that are hidden, and the grey level that hides them."""
CHECKPOINT_EVERY = 50


def pretrain_handle(run: PretrainingRun, folder: Path, stop: threading.Event) -> Path:
    """Make the Handle, or go on with it; one that is there is left as it is.

    Args:
        run: what to learn from what.
        folder: made if it does not exist; holds the checkpoint and the result.
        stop: end after the step at hand and save.

    Returns:
        A safetensors file that ``handle_weights`` takes.

    Raises:
        ConfigError: an architecture without a Handle.
        DatasetError: data that cannot be used.
        TrainingError: the loss is not finite.
        TrainingStoppedError: it was asked to stop; the checkpoint is of its last step.
    """
    target = folder / HANDLE
    if target.is_file():
        return target
    if run.architecture != "ladlenet-plus":
        raise ConfigError(
            f"pretraining needs a network with a segmentation Handle (ladlenet-plus), received "
            f"{run.architecture}"
        )
    task = run.task
    config = TrainConfig(
        data=run.data,
        architecture=run.architecture,
        preset=run.preset,
        steps=run.steps,
        batch=task.batch,
        seed=run.seed,
        loss=LossConfig(semantics=1.0),
    )
    samples = MixedSamples(config)
    torch.manual_seed(run.seed)
    model: Any = build(run.architecture, preset_config(run.architecture, run.preset))
    network = _Pretrained(model, task.task == "masked").to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=task.learning_rate)
    folder.mkdir(parents=True, exist_ok=True)
    state = load_checkpoint(folder)
    step, losses = 0, [float("nan")]
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        step, losses = state["step"], [state["loss"]]
    network.train()
    while step < run.steps:
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(step, run.steps, run.steps // 10, task.learning_rate)
        torch.manual_seed(mixed_seed(run.seed, step))
        batch = Sample(
            *map(torch.stack, zip(*(samples[i] for i in samples.indices(step)), strict=True))
        )
        picture = batch.thermal if task.on == "thermal" else luma(batch.visible)
        loss = network(picture, batch)
        if not torch.isfinite(loss):
            raise TrainingError(f"{folder.name}: the loss of step {step + 1} is {float(loss)}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        stopped = stop.is_set() and step < run.steps
        if stopped or step % CHECKPOINT_EVERY == 0:
            held = {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
                "loss": losses[-1],
            }
            save_checkpoint(folder, held)
        if stopped:
            raise TrainingStoppedError(f"{folder.name}: stopped after step {step} of {run.steps}")
    facts = {
        "task": task.task,
        "on": task.on,
        "steps": run.steps,
        "pairs": sum(samples.counts().values()),
        "last_loss": float(np.nanmean(losses[-20:])),
    }
    text = json.dumps(facts, indent=2) + "\n"
    write_text(folder / FACTS, text)
    tensors = {k: v.contiguous() for k, v in network.handle.network.state_dict().items()}
    write_whole(target, lambda path: save_file(tensors, path))
    return target


class _Pretrained(nn.Module):
    """A Handle and what it is trained by."""

    def __init__(self, model: LadleNetPlus, masked: bool) -> None:
        super().__init__()
        self.handle = model.handle
        self._context = model.config.context
        self.paint = nn.Conv2d(model.config.handle.classes, 1, 1) if masked else None

    def forward(self, picture: Tensor, batch: Sample) -> Tensor:
        """[N,1,H,W] in [0,1] to the loss."""
        seen, hidden = picture, None
        if self.paint is not None:
            height, width = picture.shape[-2:]
            blocks = torch.rand(len(picture), 1, height // BLOCK, width // BLOCK) < HIDDEN
            hidden = interpolate(blocks.float(), (height, width), mode="nearest")
            seen = picture * (1 - hidden) + HIDDEN * hidden
        logits = self.handle(seen, context(seen, batch.rows) if self._context else None).logits
        if self.paint is None or hidden is None:
            return semantics_loss(logits, batch.labels)
        stride = self.handle.logit_stride
        weight = avg_pool2d(hidden, stride)
        error = (self.paint(logits) - avg_pool2d(picture, stride)).abs()
        result: Tensor = (error * weight).sum() / weight.sum().clamp(min=1)
        return result

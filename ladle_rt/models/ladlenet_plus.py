"""LadleNet+: a segmentation network as Handle, 19 class logits, a 1x1 convolution, the Bowl.

The published network is DeepLabV3+ with ResNet-101, pretrained on Cityscapes, before the Bowl
of `ladlenet` (arXiv 2308.06603). Ours differs on purpose:

* the Handle's input is scaled as its weights were trained with; the published code gives [0,1]
  to weights that expect ImageNet's mean and deviation;
* the output is a sigmoid, bounded to (0, 1), instead of an unbounded LeakyReLU;

and where presets say so:

* ``skips`` hand the encoder's features on to the Bowl, as LadleNet does with its Handle's;
* ``bowl_thermal`` gives the Bowl the thermal image beside the logits, which are coarse;
* ``context`` gives Handle and Bowl the channels of `context` beside the thermal image;
* ``fold`` and ``refine_channels`` as in LadleNet.

The Handle's 19 classes are Cityscapes'; `ladle_rt.models.classes` sums them up to its seven
categories, of which the training's semantic term and the graph's second output speak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError
from ladle_rt.models.blocks import Fold, UNet, colour, refinement
from ladle_rt.models.context_channels import CHANNELS, context
from ladle_rt.models.handles.handle import Handle
from ladle_rt.models.handles.handle_config import HandleConfig


@dataclass(frozen=True, slots=True)
class LadleNetPlusConfig:
    """Shape of a LadleNet+."""

    handle: HandleConfig = field(default_factory=HandleConfig)
    """The segmentation network."""
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Width of each Bowl level, finest first; one pooling per level."""
    handle_channels: int = 3
    """Channels that the 1x1 convolution makes of the logits."""
    encoder_convs: int = 2
    """3x3 convolutions per Bowl encoder level, at least 1."""
    skips: bool = False
    """Fuse the Handle's encoder features into the Bowl."""
    bowl_thermal: bool = False
    """Give the Bowl the thermal image too."""
    fold: int = 1
    """Side of the pixel block folded into channels before the Bowl, 1 or 2."""
    refine_channels: int = 0
    """Width of the full-resolution refinement that sees the thermal image; 0 leaves it out."""
    context: bool = False
    """Give Handle and Bowl the channels of `ladle_rt.models.context_channels`, made inside."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ConfigError(f"channels must be positive, received {self.channels}")
        if self.encoder_convs < 1 or self.handle_channels < 1 or self.refine_channels < 0:
            raise ConfigError(
                "encoder_convs and handle_channels must be >= 1 and refine_channels >= 0, received "
                f"{self.encoder_convs}, {self.handle_channels} and {self.refine_channels}"
            )
        if self.fold not in (1, 2):
            raise ConfigError(f"fold must be 1 or 2, received {self.fold}")

    @property
    def size_multiple(self) -> int:
        """Input sides must be divisible by this."""
        return int(max(self.fold * 2 ** len(self.channels), self.handle.stride))


class LadleNetPlus(nn.Module):
    """Segmentation Handle and U-Net Bowl."""

    def __init__(self, config: LadleNetPlusConfig) -> None:
        super().__init__()
        self.config = config
        extra = CHANNELS if config.context else 0
        self.handle = Handle(config.handle, extra)
        self.handle_out = nn.Conv2d(config.handle.classes, config.handle_channels, 1)
        self.fold = Fold(config.fold)
        folded = config.fold**2
        strides = [config.fold * 2**level for level in range(len(config.channels))]
        self._fuse_strides = strides if config.skips else []
        self.bowl = UNet(
            config.handle_channels + (folded if config.bowl_thermal else 0) + extra,
            config.channels,
            config.encoder_convs,
            [self.handle.level_channels.get(stride, 0) for stride in self._fuse_strides],
            fuse_kernel=1,
        )
        self.bowl_out = nn.Conv2d(config.channels[0], 3 * folded, 1)
        self.refine = refinement(config.refine_channels)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that a pretrained encoder brings."""
        return iter(self.handle.network.encoder.parameters())

    def freeze_handle(self) -> None:
        """Leave the Handle as it is: no gradients, and batch statistics stay those it came with."""
        self.handle.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> LadleNetPlus:
        """As `nn.Module.train`; a frozen Handle stays in evaluation mode."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.handle.parameters()):
            self.handle.eval()
        return self

    def forward(self, thermal: Tensor, rows: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            thermal: float [N,1,H,W] in [0,1], H and W divisible by ``config.size_multiple``.
            rows: see `context`; only networks with ``config.context`` look at it.

        Returns:
            float [N,3,H,W], RGB in (0,1).
        """
        return self.logits_and_rgb(thermal, rows)[1]

    def logits_and_rgb(self, thermal: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The Handle's class logits and the picture.

        Args:
            thermal: as for `forward`.
            rows: the same.

        Returns:
            float [N,classes,H/s,W/s], s being the Handle's ``logit_stride``, and [N,3,H,W].
        """
        extra = context(thermal, rows) if self.config.context else None
        logits, levels = self.handle(thermal, extra)
        # A 1x1 convolution and bilinear upsampling commute: it runs on the small side.
        x = self.handle_out(logits)
        if (scale := self.handle.logit_stride / self.config.fold) != 1:
            x = nn.functional.interpolate(
                x, scale_factor=scale, mode="bilinear", align_corners=False
            )
        seen = [x]
        if self.config.bowl_thermal:
            seen.append(self.fold(thermal))
        if extra is not None:
            seen.append(nn.functional.avg_pool2d(extra, self.config.fold))
        fused = [levels.get(stride) for stride in self._fuse_strides]
        raw = self.bowl_out(self.bowl(torch.cat(seen, dim=1), fused).levels[0])
        return logits, colour(raw, thermal, self.config.fold, self.refine)

"""Parts of Handles that segmentation-models-pytorch lacks, or whose own cannot be exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, require
from ladle_rt.models.handles.handle_settings import HandleSettings


class DenseDecoder(nn.Module):
    """DeepLabV3+'s decoder with dense convolutions, the logits' 1x1 convolution excepted.

    segmentation_models_pytorch's has separable convolutions and one more behind the pyramid.

    Args:
        encoder_channels: channels of the encoder's features, finest first.
        config: the Handle.
    """

    def __init__(self, encoder_channels: list[int], config: HandleSettings) -> None:
        super().__init__()
        pyramid = require("segmentation_models_pytorch.decoders.deeplabv3.decoder", "train")
        self.scale = config.stride / 4
        self.aspp: nn.Module = pyramid.ASPP(
            encoder_channels[-1],
            config.channels,
            config.atrous_rates,
            separable=False,
            dropout=config.dropout,
        )
        fine = 48  # as published
        self.project = _conv_relu(encoder_channels[2], fine, 1)
        self.fuse = _conv_relu(config.channels + fine, config.channels, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Encoder features to [N,channels,H/4,W/4]."""
        deep = nn.functional.interpolate(
            self.aspp(features[-1]), scale_factor=self.scale, mode="bilinear", align_corners=False
        )
        result: Tensor = self.fuse(torch.cat([self.project(features[2]), deep], dim=1))
        return result


class PictureAverage(nn.Sequential):
    """The pyramid's branch that sees the average of the whole picture.

    Same parameters as the branch it replaces; an average and a broadcast instead of adaptive
    pooling and a resize, which the exporter would spell out as a chain of shapes.

    Args:
        parts: pooling (not used), convolution, normalisation and activation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] -> [N,channels,H,W], the same at every pixel.

        Raises:
            ConfigError: a single picture in training: batch normalisation has nothing to compare.
        """
        if self.training and x.shape[0] < 2:
            raise ConfigError(
                "deeplabv3plus normalises averages of whole pictures over the batch: batch must "
                f"be >= 2 in each process, received {x.shape[0]}"
            )
        average = x.mean((2, 3), keepdim=True)
        for part in list(self)[1:]:
            average = part(average)
        return _spread(average, x)


class PyramidAverage(nn.Module):
    """One level of PSPNet's pyramid: averages over size x size parts of the picture.

    Same parameters as the block it replaces. Adaptive pooling cannot be exported for sizes that
    are not known; as products with two averaging matrices it can.

    Args:
        pool: pooling (not used) and convolution.
        size: parts along each side.
    """

    def __init__(self, pool: nn.Sequential, size: int) -> None:
        super().__init__()
        self.pool = pool
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] -> [N,channels,H,W]."""
        height, width = x.shape[2:]
        if self.size == 1:
            return _spread(self.pool[1](x.mean((2, 3), keepdim=True)), x)
        rows, columns = _parts(height, self.size, x), _parts(width, self.size, x)
        return nn.functional.interpolate(
            self.pool[1](rows @ x @ columns.T),
            size=(height, width),
            mode="bilinear",
            align_corners=True,
        )


def _spread(average: Tensor, x: Tensor) -> Tensor:
    """[N,channels,1,1] to every pixel of x.

    By arithmetic: in the exported graph an expansion reads shapes, and a shape that is read of a
    convolution keeps the batch normalisation behind it from being folded.
    """
    return average + 0 * x[:, :1]


def _parts(length: int, count: int, like: Tensor) -> Tensor:
    """[count,length]: each row averages one part, as `nn.AdaptiveAvgPool2d` cuts them."""
    part = torch.arange(count, device=like.device)[:, None]
    position = torch.arange(length, device=like.device)
    # From floor(part * length / count) to ceil((part + 1) * length / count), without divisions.
    inside = ((position + 1) * count > part * length) & (position * count < (part + 1) * length)
    rows = inside.to(like.dtype)
    return rows / rows.sum(1, keepdim=True)


def _conv_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )

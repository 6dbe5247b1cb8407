"""The segmentation networks that a Handle can be, over the encoders of segmentation-models-pytorch.

To add one, write a `HandleKind` and enter it in `HANDLES`.

    deeplabv3plus   DeepLabV3+ (Chen et al. 2018, arXiv 1802.02611); dense, it is the network of
                    the public Cityscapes checkpoints of VainF/DeepLabV3Plus-Pytorch, which the
                    published LadleNet+ starts from, if the encoder is one of timm's ResNets
    pspnet          PSPNet (Zhao et al. 2017, arXiv 1612.01105)
    fpn             the feature pyramid of Kirillov et al. 2019 (arXiv 1901.02446)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ladle_rt.errors import ConfigError, require
from ladle_rt.models.handles.handle_settings import HandleSettings
from ladle_rt.models.handles.parts import DenseDecoder, PictureAverage, PyramidAverage


class HandleKind(ABC):
    """One family of segmentation networks."""

    def check(self, config: HandleSettings) -> None:  # noqa: B027  most have nothing to refuse
        """Refuse settings that this network cannot have.

        Raises:
            ConfigError: in one line.
        """

    @abstractmethod
    def logit_stride(self, config: HandleSettings) -> int:
        """Pixels of the input for one of the logits."""

    @abstractmethod
    def build(self, config: HandleSettings) -> Any:
        """A network with ``encoder``, ``decoder`` and ``segmentation_head``, fresh weights.

        The decoder takes the list of the encoder's features, finest first, and the head makes
        logits of its output.
        """


class DeepLabV3Plus(HandleKind):
    """DeepLabV3+, as in the public Cityscapes checkpoints or depthwise-separable throughout."""

    def check(self, config: HandleSettings) -> None:
        """Three dilations, and a stride that the encoder can be dilated to."""
        if len(config.atrous_rates) != 3:
            raise ConfigError(
                f"atrous_rates of deeplabv3plus must be three, received {config.atrous_rates}"
            )
        if config.output_stride not in (8, 16):
            raise ConfigError(
                f"output_stride of deeplabv3plus must be 8 or 16, received {config.output_stride}"
            )

    def logit_stride(self, config: HandleSettings) -> int:
        """That of the fine features in the decoder."""
        return 4

    def build(self, config: HandleSettings) -> Any:
        """See `HandleKind.build`."""
        smp = require("segmentation_models_pytorch", "train")
        network = smp.DeepLabV3Plus(
            encoder_name=config.encoder,
            encoder_depth=config.depth,
            encoder_weights=None,
            encoder_output_stride=config.output_stride,
            decoder_channels=config.channels,
            decoder_atrous_rates=config.atrous_rates,
            decoder_aspp_separable=True,
            decoder_aspp_dropout=config.dropout,
            classes=config.classes,
            upsampling=1,
        )
        if config.separable:
            aspp = network.decoder.aspp[0]
        else:
            network.decoder = DenseDecoder(network.encoder.out_channels, config)
            aspp = network.decoder.aspp
        aspp.convs[-1] = PictureAverage(*aspp.convs[-1])
        return network


class PSPNet(HandleKind):
    """PSPNet."""

    def logit_stride(self, config: HandleSettings) -> int:
        """That of the deepest features."""
        return config.stride

    def build(self, config: HandleSettings) -> Any:
        """See `HandleKind.build`."""
        smp = require("segmentation_models_pytorch", "train")
        network = smp.PSPNet(
            encoder_name=config.encoder,
            encoder_weights=None,
            encoder_depth=config.depth,
            psp_out_channels=config.channels,
            psp_dropout=config.dropout,
            classes=config.classes,
            upsampling=1,
            output_stride=config.output_stride,
        )
        blocks = network.decoder.psp.blocks
        for index, block in enumerate(blocks):
            blocks[index] = PyramidAverage(block.pool, block.pool[0].output_size[0])
        return network


class FPN(HandleKind):
    """Feature pyramid network."""

    def check(self, config: HandleSettings) -> None:
        """Four undilated levels, and channels in groups of 32."""
        if config.depth < 4 or config.output_stride != 2**config.depth:
            raise ConfigError(
                "fpn needs depth 4 with output_stride 16 or depth 5 with output_stride 32, "
                f"received {config.depth} and {config.output_stride}"
            )
        if config.channels % 32:
            raise ConfigError(
                f"channels of fpn must be a multiple of 32, received {config.channels}"
            )

    def logit_stride(self, config: HandleSettings) -> int:
        """That of the finest of four levels."""
        return int(2 ** (config.depth - 3))

    def build(self, config: HandleSettings) -> Any:
        """See `HandleKind.build`."""
        smp = require("segmentation_models_pytorch", "train")
        return smp.FPN(
            encoder_name=config.encoder,
            encoder_depth=config.depth,
            encoder_weights=None,
            # As published: the pyramid is twice as wide as what is made of it.
            decoder_pyramid_channels=2 * config.channels,
            decoder_segmentation_channels=config.channels,
            decoder_dropout=config.dropout,
            classes=config.classes,
            upsampling=1,
        )


HANDLES: dict[str, HandleKind] = {
    "deeplabv3plus": DeepLabV3Plus(),
    "fpn": FPN(),
    "pspnet": PSPNet(),
}
"""The segmentation networks by name."""

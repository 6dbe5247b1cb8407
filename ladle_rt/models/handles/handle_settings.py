"""What a Handle is made of."""

from __future__ import annotations

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class HandleSettings:
    """What a segmentation network is made of; `HandleConfig` is these, checked."""

    name: str = "deeplabv3plus"
    """Key of `ladle_rt.models.handles.kinds.HANDLES`."""
    encoder: str = "tu-resnet101"
    """Encoder as segmentation_models_pytorch names it; ``tu-`` takes any of timm's."""
    depth: int = 5
    """Encoder stages, 3 to 5; each halves the size unless ``output_stride`` forbids it."""
    output_stride: int = 8
    """Largest stride of a feature, 8, 16 or 32; deeper stages are dilated instead."""
    channels: int = 256
    """Width of the decoder."""
    atrous_rates: tuple[int, ...] = (12, 24, 36)
    """Dilations of deeplabv3plus's pyramid; it alone has them."""
    separable: bool = False
    """Depthwise-separable convolutions in deeplabv3plus's decoder instead of dense ones."""
    dropout: float = 0.1
    """Dropout of the decoder in training."""
    classes: int = 19
    """Classes of the logits: 19 are Cityscapes'."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted from three equal channels in [0,1]: what the encoder was trained with."""
    std: tuple[float, ...] = IMAGENET_STD
    """Divides them."""
    norm_eps: float = 1e-5
    """Epsilon of the encoder's batch normalisations: what the encoder was trained with."""

    @property
    def stride(self) -> int:
        """Stride of the deepest feature."""
        return min(int(2**self.depth), self.output_stride)

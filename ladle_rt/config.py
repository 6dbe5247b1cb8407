"""Settings of a translation, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ladle_rt.errors import ConfigError

Backend = Literal["auto", "tensorrt", "torch", "torch-tensorrt", "onnxruntime", "openvino"]
CudaBinding = Literal["bindings", "pycuda"]
Detail = Literal["none", "guided"]
Layout = Literal["colour", "side-by-side", "semantic"]
Quality = Literal["fast", "balanced", "best"]

CLASS_BACKENDS: tuple[Backend, ...] = ("onnxruntime", "openvino")
"""Backends that can give a model's classes instead of its picture."""
MIN_SIZE = 32
"""Smallest side of the network box, pixels."""


@dataclass(frozen=True, slots=True)
class TranslateOptions:
    """How frames are translated."""

    backend: Backend = "auto"
    """Compute engine; see `ladle_rt.pipeline.engine_choice` for ``auto``."""
    threads: int | None = None
    """Frames translated at the same time, one thread each; ``None``: one per usable core."""
    size: tuple[int, int] | None = None
    """Height and width of the box the network works in; ``None``: what ``quality`` chooses, or,
    where nothing chooses, what it was trained with."""
    quality: Quality | None = None
    """Chooses the box by the size of the frames, see `ladle_rt.geometry.network_box`; ``None``:
    what the command and the model are used with, see `ladle_rt.pipeline.network_size`."""
    detail: Detail = "none"
    """How the network-size picture is brought to full size; see `ladle_rt.translate.detail`."""
    layout: Layout = "colour"
    """The colour picture alone, or the thermal one beside it, or the thermal one tinted by what
    the model takes things for; see `ladle_rt.translate.semantic`."""
    mark: bool = False
    """Write "synthetic colour" into the picture."""
    smoothing_s: float = 1.0
    """Time constant of the thermal levels, seconds; 0: every frame by itself."""
    fixed_range: tuple[float, float] | None = None
    """Counts that map to black and white in every frame; ``None``: the frames' own percentiles."""
    engines: Path = Path("engines")
    """Folder of TensorRT plans; one is built there if none fits."""
    warm_start: bool = True
    """Translate with the next best engine while a plan is built or loaded."""
    cuda: CudaBinding = "bindings"
    """How the CUDA driver is called: by cuda.bindings (wheels) or by pycuda."""

    def __post_init__(self) -> None:
        _one_of("backend", self.backend, Backend)
        _one_of("cuda", self.cuda, CudaBinding)
        _one_of("detail", self.detail, Detail)
        _one_of("layout", self.layout, Layout)
        if self.layout == "semantic" and self.backend not in ("auto", *CLASS_BACKENDS):
            raise ConfigError(
                f"layout semantic runs on {' or '.join(CLASS_BACKENDS)}, received {self.backend}"
            )
        if self.quality is not None:
            _one_of("quality", self.quality, Quality)
            if self.size is not None:
                raise ConfigError("quality and size both choose the network's size; give one")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads must be >= 1, received {self.threads}")
        if self.size is not None and min(self.size) < MIN_SIZE:
            raise ConfigError(
                f"size must be at least {MIN_SIZE}x{MIN_SIZE}, "
                f"received {self.size[0]}x{self.size[1]}"
            )
        if self.smoothing_s < 0:
            raise ConfigError(f"smoothing_s must be >= 0, received {self.smoothing_s}")
        if self.fixed_range is not None and not 0 <= self.fixed_range[0] < self.fixed_range[1]:
            raise ConfigError(
                "a fixed range must satisfy 0 <= low < high, "
                f"received {self.fixed_range[0]:g} and {self.fixed_range[1]:g}"
            )


def _one_of(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ConfigError(f"{name} must be one of {get_args(choices)}, received {value!r}")

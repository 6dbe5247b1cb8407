"""Settings of a translation, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ladle_rt.addresses import ServerAddress
from ladle_rt.errors import ConfigError
from ladle_rt.plugins import installed

Agc = Literal["percentile", "plateau", "clahe"]
Backend = str
"""``auto``, one of `BACKENDS`, or what an installed plug-in calls itself."""
CudaBinding = Literal["bindings", "pycuda"]
Detail = Literal["none", "guided"]
Layout = Literal["colour", "side-by-side", "semantic"]
IsothermStyle = Literal["tint", "outline"]
IsothermUnit = Literal["percentile", "counts", "celsius"]
Palette = Literal["white-hot", "black-hot", "ironbow", "lava", "arctic", "green-hot", "rainbow"]
"""False colours for people; see `ladle_rt.thermal.palettes`."""
Border = Literal["float32", "float16"]
"""Element type of a graph's input and output."""
Quality = Literal["fast", "balanced", "best"]


class BackendKind(NamedTuple):
    """One line of the table of compute engines."""

    network: str | None = None
    """``module:factory`` of what takes frames from the CPU, see `ladle_rt.plugins`."""
    on_gpu: bool = False
    """Whether it can keep a frame in device memory."""
    classes: bool = False
    """Whether it can give a model's classes instead of its picture."""
    remote: bool = False
    """Whether servers run the network; see `RemoteOptions`."""


BACKENDS = {
    "tensorrt": BackendKind(on_gpu=True),
    "torch": BackendKind("ladle_rt.translate.torch_backend:TorchNetwork", on_gpu=True),
    "torch-tensorrt": BackendKind(on_gpu=True),
    "onnxruntime": BackendKind(
        "ladle_rt.translate.onnxruntime_backend:OnnxRuntimeNetwork", classes=True
    ),
    "openvino": BackendKind("ladle_rt.translate.openvino_backend:OpenVinoNetwork", classes=True),
    "triton": BackendKind(
        "ladle_rt.translate.remote.triton_backend:TritonNetwork", classes=True, remote=True
    ),
}
"""The compute engines of this package, by name; others are entry points of
``ladle_rt.backends``."""
MIN_SIZE, MAX_SIZE = 32, 2048
"""Smallest and largest side of the network box, pixels."""
MOST_WAIT_S = 240.0
"""For servers: a pipeline takes a stage that is silent for longer to be dead."""
STEADY = 1.0
"""The usual strength of flicker suppression. It leaves a third of the flicker of two real videos,
at half a count of difference where the scene moves (``benchmarks/flicker.py``)."""


@dataclass(frozen=True, slots=True)
class Isotherm:
    """Which part of a frame is hot, and how that is shown over the colours."""

    value: float = 98.0
    """From where on, in ``unit``."""
    unit: IsothermUnit = "percentile"
    """``percentile`` of the frame, 0 to 100, which marks that share of every scene; ``counts``
    of the camera; ``celsius``, where the source knows temperatures."""
    style: IsothermStyle = "tint"
    """A palette over the hot regions, or their outline."""
    palette: Palette = "ironbow"
    """From the isotherm (its middle colour) to the hottest pixel."""

    def __post_init__(self) -> None:
        _one_of("isotherm unit", self.unit, IsothermUnit)
        _one_of("isotherm style", self.style, IsothermStyle)
        _one_of("isotherm palette", self.palette, Palette)
        if not math.isfinite(self.value):
            raise ConfigError(f"isotherm must be finite, received {self.value}")
        if self.unit == "percentile" and not 0 <= self.value < 100:
            raise ConfigError(
                f"an isotherm's percentile must be within 0-100, received {self.value:g}"
            )

    @property
    def level(self) -> str:
        """From where on, as people write it: ``98 %``, ``30000``, ``37 C`` with a degree sign."""
        units = {"percentile": " %", "counts": "", "celsius": " \N{DEGREE SIGN}C"}
        return f"{self.value:g}{units[self.unit]}"

    @classmethod
    def parse(
        cls, text: str, style: IsothermStyle = "tint", palette: Palette = "ironbow"
    ) -> Isotherm:
        """An isotherm as people write it: ``98%``, ``30000`` (counts), ``37C``.

        Raises:
            ConfigError: none of these.
        """
        word = text.strip().removesuffix("\N{DEGREE SIGN}C")
        units: dict[str, IsothermUnit] = {"%": "percentile", "C": "celsius", "c": "celsius"}
        unit = "celsius" if word != text.strip() else units.get(word[-1:], "counts")
        number = word[:-1] if word[-1:] in units else word
        try:
            value = float(number)
        except ValueError:
            raise ConfigError(
                "isotherm must be a percentile such as 98%, counts such as 30000 or degrees such "
                f"as 37C, received {text!r}"
            ) from None
        return cls(value, unit, style, palette)


@dataclass(frozen=True, slots=True)
class VideoEncoding:
    """How pictures are compressed. Unset fields follow the file extension and encoder."""

    codec: str | None = None
    """FFmpeg encoder name, h264, h265, vp9, av1, or one of GStreamer's, see
    `ladle_rt.sinks.gstreamer_elements`."""
    crf: int | None = None
    """Constant rate factor: smaller is better and larger, 0-63."""
    preset: str | None = None
    """The encoder's own preset, for example ``veryfast``."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise ConfigError(f"crf must be within 0-63, received {self.crf}")


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Where the network runs, if not here, and how long it is waited for; for backend triton."""

    urls: tuple[str, ...] = ()
    """Servers that speak KServe v2, see `ladle_rt.addresses.ServerAddress`. All are used; where
    one fails, the others go on."""
    deadline_s: float = 10.0
    """For a frame on a server; another one gets it then."""
    outage_s: float = 30.0
    """How long all servers may be away before a run ends."""

    def __post_init__(self) -> None:
        servers = [ServerAddress.parse(url) for url in self.urls]
        if len(set(servers)) < len(servers):
            raise ConfigError(f"servers: expected each once, received {', '.join(self.urls)}")
        for name in ("deadline_s", "outage_s"):
            value = getattr(self, name)
            if not 0 < value <= MOST_WAIT_S:
                raise ConfigError(
                    f"{name} must be within 0-{MOST_WAIT_S:g} seconds, received {value:g}"
                )


@dataclass(frozen=True, slots=True)
class TranslateOptions:
    """What happens to frames on their way, alike for files, stills, arrays and live sources."""

    backend: Backend = "auto"
    """Compute engine; see `ladle_rt.translate.select` for ``auto``."""
    threads: int | None = None
    """Frames translated at the same time, one thread each; ``None``: one per usable core."""
    size: tuple[int, int] | None = None
    """Height and width of the box the network works in; ``None``: what ``quality`` chooses, or,
    where nothing chooses, what it was trained with."""
    quality: Quality | None = None
    """Chooses the box by the size of the frames, see `ladle_rt.geometry.network_box`; ``None``:
    what the command and the model are used with, see `ladle_rt.translate.network_size`."""
    detail: Detail = "none"
    """How the network-size picture is brought to full size; see `ladle_rt.translate.detail`."""
    layout: Layout = "colour"
    """The colour picture alone, or the thermal one beside it, or the thermal one tinted by what
    the model takes things for; see `ladle_rt.translate.semantic`."""
    mark: bool = False
    """Write "synthetic colour" into the picture."""
    smoothing_s: float = 1.0
    """Time constant of the thermal levels, seconds; 0: every frame by itself."""
    agc: Agc = "percentile"
    """``percentile``: the model's own normalisation alone. ``plateau``, ``clahe``: equalised
    first."""
    fixed_range: tuple[float, float] | None = None
    """Counts that map to black and white in every frame; ``None``: the frames' own percentiles."""
    dead_pixels: bool = False
    """Replace stuck pixels; in video only, a still cannot tell them from the scene."""
    stripes: bool = False
    """Take fixed offsets of rows and columns out."""
    shutter: bool = True
    """Hold the picture while the shutter is closed; in video only."""
    skip_unchanged: bool = False
    """Show the picture again while the thermal frame does not change; in video only."""
    steady: float = STEADY
    """Strength of flicker suppression, 0 to 1; in video only."""
    palette: Palette = "white-hot"
    """Of the thermal picture, where one is shown."""
    isotherm: Isotherm | None = None
    """Mark hot regions over the colours; ``None``: off."""
    drift_warning: bool = True
    """Warn when a video's frames are unlike the training data."""
    gpu: str | None = None
    """Number or UUID of the GPU, see `ladle_rt.translate.gpu_selection`; ``None``: the first."""
    engines: Path = Path("engines")
    """Folder of TensorRT plans; one is built there if none fits."""
    warm_start: bool = True
    """Translate with the next best engine while a plan is built or loaded, where the backend is
    ``auto``."""
    cuda: CudaBinding = "bindings"
    """How the CUDA driver is called: by cuda.bindings (wheels) or by pycuda."""
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    """The servers of backend triton."""
    allow_colour: bool = False
    """Take the luminance of a coloured input instead of refusing it."""
    start_s: float = 0.0
    """Skip so many seconds of a recording."""
    duration_s: float | None = None
    """Translate so many seconds; ``None``: up to the end."""
    encoding: VideoEncoding = field(default_factory=VideoEncoding)
    """How a video file is compressed."""
    sound: bool = True
    """Carry the input's sound into a video file."""

    def __post_init__(self) -> None:
        _one_of("agc", self.agc, Agc)
        # Entry points are looked up only where none of our own names fits: it takes milliseconds.
        if self.backend not in ("auto", *BACKENDS) and self.backend not in installed(
            "ladle_rt.backends"
        ):
            names = ", ".join(("auto", *BACKENDS, *installed("ladle_rt.backends")))
            raise ConfigError(f"backend must be one of {names}, received {self.backend!r}")
        if (self.backend == "triton") != bool(self.remote.urls):
            raise ConfigError(
                "backend triton and the addresses of its servers go together: "
                "--backend triton --url grpc://HOST:8001, "
                f"received {self.backend} and {', '.join(self.remote.urls) or 'no address'}"
            )
        _one_of("cuda", self.cuda, CudaBinding)
        _one_of("detail", self.detail, Detail)
        _one_of("layout", self.layout, Layout)
        own = BACKENDS.get(self.backend)
        if self.layout == "semantic" and own is not None and not own.classes:
            able = " or ".join(name for name, kind in BACKENDS.items() if kind.classes)
            raise ConfigError(f"layout semantic runs on {able}, received {self.backend}")
        if self.quality is not None:
            _one_of("quality", self.quality, Quality)
            if self.size is not None:
                raise ConfigError("quality and size both choose the network's size; give one")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads must be >= 1, received {self.threads}")
        if self.size is not None and not MIN_SIZE <= min(self.size) <= max(self.size) <= MAX_SIZE:
            raise ConfigError(
                f"size must be within {MIN_SIZE}x{MIN_SIZE} to {MAX_SIZE}x{MAX_SIZE}, "
                f"received {self.size[1]}x{self.size[0]}"
            )
        if self.agc != "percentile" and self.fixed_range is not None:
            raise ConfigError(f"agc {self.agc} makes its own range; leave the fixed range out")
        _one_of("palette", self.palette, Palette)
        if not 0 <= self.steady <= 1:
            raise ConfigError(f"steady must be within 0-1, received {self.steady:g}")
        if not 0 <= self.start_s < math.inf:
            raise ConfigError(f"start must be >= 0 seconds, received {self.start_s:g}")
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigError(f"duration must be > 0 seconds, received {self.duration_s:g}")
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

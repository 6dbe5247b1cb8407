"""The file that says which cameras run, and what they share.

    [page]
    address = "0.0.0.0:8080"

    [storage]
    folder = "recordings"
    max_gb = 200

    [[camera]]
    name = "gate"
    source = "rtsp://10.0.0.5/thermal"
    outputs = ["rtsp://localhost:8554/gate"]
    record = true
    options = { steady = 0.8, isotherm = "98%" }

Keys are the fields of the dataclasses below; unknown ones are refused with the nearest name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ladle_rt.config import Backend, Isotherm, RemoteOptions, TranslateOptions
from ladle_rt.documents import read_toml
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import DEFAULT_MODEL
from ladle_rt.pipeline.run import Policy
from ladle_rt.serve.conflicts import refuse_conflicts
from ladle_rt.sources.base import SourceOptions
from ladle_rt.structure import structure
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.translate.batching import Batching

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
"""Goes into addresses, folders and labels as it is."""
SHARED = ("backend", "threads", "gpu", "engines", "remote", "warm_start", "cuda")
"""Of `TranslateOptions`: one engine runs all cameras."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What translates the frames of all cameras."""

    model: str = DEFAULT_MODEL
    """Name of a shipped model, or path of an ``.onnx`` file; a camera may name another."""
    backend: Backend = "auto"
    """As ``--backend``."""
    threads: int | None = None
    """Workers on the CPU, for all cameras together; one per usable core."""
    gpu: str | None = None
    """Number or UUID."""
    engines: Path = Path("engines")
    """Folder of TensorRT plans."""
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    """The servers of backend triton: ``urls``, ``deadline_s``, ``outage_s``."""
    batch: Batching = field(default_factory=Batching)
    """Frames of several cameras in one run of a network."""


@dataclass(frozen=True, slots=True)
class PageConfig:
    """The page with all cameras."""

    address: str = ""
    """``[HOST:]PORT``; empty: no page, because nobody asked for one."""
    token: str | None = None
    """What the page asks for; made up where others can reach it."""


@dataclass(frozen=True, slots=True)
class StorageRule:
    """Where recordings go, and how long they stay. Whichever limit comes first counts."""

    folder: Path = Path("recordings")
    """Gets ``CAMERA/TIME.mkv``."""
    max_gb: float | None = None
    """All recordings together, 10^9 bytes; the oldest are removed first."""
    max_days: float | None = None
    """Older ones are removed."""
    min_free_gb: float = 2.0
    """Of the disk: recordings are removed, and where that is not enough recording stops, before
    there is less."""
    segment_minutes: float = 5.0
    """Length of one file: the unit of removal."""
    segment_mb: float = 500.0
    """Size of one file at most, 10^6 bytes."""

    def __post_init__(self) -> None:
        for name in ("max_gb", "max_days", "segment_minutes", "segment_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"storage: {name} must be > 0, received {value:g}")
        if not self.min_free_gb >= 0:
            raise ConfigError(f"storage: min_free_gb must be >= 0, received {self.min_free_gb:g}")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera: what comes in, what happens to it, where it goes."""

    name: str
    """In addresses, folders and metrics."""
    source: str
    """As ``stream --device``."""
    outputs: tuple[str, ...] = ()
    """As ``stream --output``."""
    record: bool = False
    """Record all the time, by the storage rule."""
    model: str | None = None
    """Another model than the engine's."""
    policy: Policy | None = None
    """As ``stream --policy``."""
    latency_budget_ms: float | None = None
    """As ``stream --latency-budget``."""
    overwrite: bool = False
    """Whether existing outputs may be replaced."""
    open: SourceOptions = field(default_factory=SourceOptions)
    """How the source is opened: ``width``, ``fps``, ``loop``, ``timeout_s``, ..."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What it holds: ``polarity``, ``crop``, ..."""
    options: TranslateOptions = field(default_factory=TranslateOptions)
    """What happens to its frames: ``quality``, ``steady``, ``isotherm``, ``palette``, ..."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(
                "a camera's name must be letters, digits, - and _, 63 at most, "
                f"received {self.name!r}"
            )
        default = TranslateOptions()
        for name in SHARED:
            if getattr(self.options, name) != getattr(default, name):
                raise ConfigError(f"all cameras share one engine; move {name} to [engine]")
        if self.options.encoding.codec is None and self.options.encoding != default.encoding:
            raise ConfigError("crf and preset need a codec")

    @property
    def source_options(self) -> SourceOptions:
        """``open`` with what the other tables say about opening."""
        return replace(
            self.open,
            # Waiting is done from outside, where it can be seen.
            wait=False,
            allow_colour=self.options.allow_colour or self.open.allow_colour,
            start_s=self.options.start_s or self.open.start_s,
            duration_s=self.options.duration_s or self.open.duration_s,
            read=self.read,
        )


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """The whole file."""

    camera: tuple[CameraConfig, ...] = ()
    """One ``[[camera]]`` each."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    page: PageConfig = field(default_factory=PageConfig)
    storage: StorageRule = field(default_factory=StorageRule)
    log_every_s: float = 60.0
    """Between lines of figures, for each camera; 0: none."""

    def __post_init__(self) -> None:
        if not self.camera:
            raise ConfigError("no camera; add a [[camera]] with a name and a source")
        refuse_conflicts([(one.name, one.source, one.outputs) for one in self.camera])
        if not self.log_every_s >= 0:
            raise ConfigError(f"log_every_s must be >= 0, received {self.log_every_s:g}")

    def options(self, camera: CameraConfig) -> TranslateOptions:
        """A camera's options with what all cameras share."""
        engine = self.engine
        return replace(
            camera.options,
            backend=engine.backend,
            threads=engine.threads,
            gpu=engine.gpu,
            engines=engine.engines,
            remote=engine.remote,
        )


def load_config(path: Path) -> ServeConfig:
    """Read and check the file; nothing is opened.

    Raises:
        ConfigError: not TOML, unknown keys, values out of range, two cameras on one device; the
            message names the camera.
    """
    values = read_toml(path, "TOML with [[camera]] tables", ConfigError)
    cameras = values.get("camera")
    if isinstance(cameras, list):
        values["camera"] = [_camera(one, path, number) for number, one in enumerate(cameras, 1)]
    try:
        return structure(ServeConfig, values, str(path), ConfigError)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _camera(values: Any, path: Path, number: int) -> CameraConfig:
    """One table; messages say whose it is."""
    named = isinstance(values, Mapping) and isinstance(values.get("name"), str)
    where = f"{path}: camera {values['name'] if named else number}"
    try:
        options = values.get("options") if isinstance(values, Mapping) else None
        if isinstance(options, Mapping) and isinstance(options.get("isotherm"), str):
            hot = Isotherm.parse(options["isotherm"])
            values = {**values, "options": {**options, "isotherm": hot}}
        return structure(CameraConfig, values, where, ConfigError)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(where) else f"{where}: {text}") from None

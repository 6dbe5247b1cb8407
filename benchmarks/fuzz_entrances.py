"""Where inputs come in, each with seeds, a way to damage them, and the product's own reader."""

from __future__ import annotations

import hashlib
import logging
import random
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import fuzz_seeds
from fuzz_mutate import mutate_bytes, mutate_text
from fuzz_seeds import Seed

import ladle_rt  # noqa: F401  (sets OpenCV's limits before it is loaded)
from ladle_rt.benchmark.benchmark_report import read_report
from ladle_rt.benchmark.compare_reports import compare_reports
from ladle_rt.benchmark.report_markdown import comparison_to_markdown
from ladle_rt.engines.calibration.calibration_set import MANIFEST, RANGES, CalibrationSet
from ladle_rt.engines.plan.layers import parse_layers
from ladle_rt.engines.plan.manifest import read_manifest
from ladle_rt.errors import ConfigError
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.exif import read_exif
from ladle_rt.sources.network_source import NetworkSource
from ladle_rt.sources.still_images import read_stills
from ladle_rt.sources.stills.decode import count_pictures
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.training.resolve import recipe_names, recipe_path, resolve_config
from ladle_rt.training.run_folder import claim_folder
from ladle_rt.translate.select import load_network


class Entrance(Protocol):
    """Belongs to one process."""

    name: str
    seeds: list[Seed]

    def mutate(self, seed: bytes, chance: random.Random) -> bytes:
        """Damage a seed."""

    def read(self, name: str, data: bytes) -> None:
        """Read it as a user's; any exception but a `LadleError` is a fault."""

    def close(self) -> None:
        """Release what it holds."""


class FileEntrance:
    """Files by name and content."""

    def __init__(
        self,
        name: str,
        folder: Path,
        seeds: Iterable[Seed],
        read: Callable[[Path], object],
        mutate: Callable[[bytes, random.Random], bytes] = mutate_bytes,
    ) -> None:
        self.name, self.seeds, self.mutate = name, list(seeds), mutate
        self._read = read
        self._folder = folder / "case"
        self._folder.mkdir()

    def read(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.write_bytes(data)
        try:
            self._read(path)
        finally:
            path.unlink()

    def close(self) -> None:
        """Nothing is held."""


def image(folder: Path) -> FileEntrance:
    """What `ladle-rt image` does with a file up to the network."""
    options = ReadOptions(raw_size=(64, 48))

    def read(path: Path) -> None:
        read_exif(path)
        count_pictures(path, options)
        for _ in read_stills(path, allow_colour=True, options=options):
            pass

    return FileEntrance("image", folder, fuzz_seeds.images(folder), read)


def video(folder: Path) -> FileEntrance:
    """Every frame of a file."""

    def read(path: Path) -> None:
        with VideoSource(path, allow_colour=True) as source:
            for _ in source:
                pass

    return FileEntrance("video", folder, fuzz_seeds.videos(folder), read)


def sdp(folder: Path) -> FileEntrance:
    """Descriptions of RTP streams, which wait in vain for packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] & ~1
    one = fuzz_seeds.SDP % port
    raw = one.replace(b"96 H264", b"96 raw").replace(b"packetization-mode=1;", b"sampling=YCbCr; ")

    def read(path: Path) -> None:
        NetworkSource(str(path), SourceOptions(timeout_s=0.05)).close()

    seeds = [("h264.sdp", one), ("raw.sdp", raw), ("h265.sdp", one.replace(b"H264", b"H265"))]
    return FileEntrance("sdp", folder, seeds, read)


def documents(folder: Path) -> FileEntrance:
    """JSON: a model's facts, manifests, reports, settings of runs, layers of plans."""
    base = fuzz_seeds.benchmark_report()
    (folder / "base.json").write_bytes(base)
    good = read_report(folder / "base.json")
    run = resolve_config(None, "compact", folder, {})
    claim_folder(folder / "run", run, False)

    def read(path: Path) -> None:
        match path.name:
            case "model.json":
                ModelInfo.from_json(path.read_text(errors="surrogateescape"), path.name)
            case "plan.json":
                plan = read_manifest(path)
                plan.file_name("label"), plan.difference(plan)
            case "report.json":
                comparison_to_markdown(compare_reports(read_report(path), good))
            case "layers.json":
                parse_layers(path.read_text(errors="replace"))
            case "run.json":
                (folder / "run" / "config.json").write_bytes(path.read_bytes())
                claim_folder(folder / "run", run, True)
            case "calibration.json":
                _calibration(folder, path.read_bytes(), b'{"linear": 1.5}')
            case "ranges.json":
                _calibration(folder, fuzz_seeds.calibration_manifest(), path.read_bytes())

    seeds = [
        ("model.json", fuzz_seeds.model_json()), ("plan.json", fuzz_seeds.plan_manifest()),
        ("report.json", base), ("layers.json", fuzz_seeds.LAYERS),
        ("run.json", (folder / "run" / "config.json").read_bytes()),
        ("calibration.json", fuzz_seeds.calibration_manifest()),
        ("ranges.json", b'{"linear": 1.5, "conv": 3, "last": 0.25}'),
    ]  # fmt: skip
    return FileEntrance("json", folder, seeds, read, mutate_text)


def _calibration(folder: Path, manifest: bytes, ranges: bytes) -> None:
    (folder / RANGES).write_bytes(ranges)
    digest = b'"ranges_sha256": "%s"' % hashlib.sha256(ranges).hexdigest().encode()
    (folder / MANIFEST).write_bytes(manifest.replace(b'"ranges_sha256": ""', digest))
    found = CalibrationSet.read(folder).ranges
    # As Q/DQ pairs are made of them.
    for name, largest in found.items():
        assert isinstance(name, str) and isinstance(largest, float)


def toml(folder: Path) -> FileEntrance:
    """Settings of a training."""
    seeds = [(f"{name}.toml", recipe_path(name).read_bytes()) for name in recipe_names()]

    def read(path: Path) -> None:
        resolve_config(path, None, folder, {}).to_dict()

    return FileEntrance("toml", folder, seeds, read, mutate_text)


def graph(folder: Path) -> FileEntrance:
    """A network whose JSON fits, up to a picture of the probe."""

    def read(path: Path) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        facts = path.with_suffix(".json")
        facts.write_text(replace(fuzz_seeds.INFO, onnx_sha256=digest).to_json())
        load_network(load_artifact(path))

    return FileEntrance("onnx", folder, [("model.onnx", fuzz_seeds.network())], read)


class PageEntrance:
    """Requests to a page that is served; the requests are those of its own test."""

    name = "http"

    def __init__(self, folder: Path) -> None:
        from fuzz_page import requests, serve

        self.seeds: list[Seed] = [("request", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")]
        self._request = requests()
        self._page = serve()
        self._logged: list[logging.LogRecord] = []
        logging.disable(logging.NOTSET)
        handler = logging.Handler(logging.WARNING)
        handler.emit = self._logged.append  # type: ignore[method-assign]
        for name in ("ladle_rt", "aiohttp", "asyncio"):
            logging.getLogger(name).addHandler(handler)
            logging.getLogger(name).propagate = False

    def mutate(self, seed: bytes, chance: random.Random) -> bytes:
        return self._request(chance)

    def read(self, name: str, data: bytes) -> None:
        self._logged.clear()
        with socket.create_connection(("127.0.0.1", self._page.port), timeout=20) as one:
            try:
                one.sendall(data)
                answer = b""
                while part := one.recv(65_536):
                    answer += part
            except ConnectionError:
                answer = b""
        if (answer and not answer.startswith(b"HTTP/")) or answer[9:10] == b"5":
            raise RuntimeError(f"answered {answer[:60]!r} to {data[:200]!r}")
        if self._logged:
            raise RuntimeError(f"logged {self._logged[0].getMessage()} after {data[:200]!r}")
        if answer[9:10] not in (b"2", b"3"):
            raise ConfigError(answer[9:12].decode() or "no answer")

    def close(self) -> None:
        self._page.close()


ENTRANCES: dict[str, Callable[[Path], Any]] = {
    "image": image,
    "video": video,
    "sdp": sdp,
    "json": documents,
    "toml": toml,
    "onnx": graph,
    "http": PageEntrance,
}

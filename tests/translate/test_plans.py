"""Which plan on disk is taken, and how one is built where none is."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.cuda.probe import CudaDevice, gpu_facts
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan import background
from ladle_rt.engines.plan.cache import Entry, lock_path, store
from ladle_rt.engines.plan.lock import locked
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.errors import BackendError
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate.plans import fitting_plan, obtain_plan

ADA = CudaDevice(name="Ada", compute_capability=(8, 9), driver_version="13.1")
TENSORRT = TensorRT("tensorrt", "11.4.0.106", SimpleNamespace())


def profile(*size: int) -> list[list[int]]:
    return [[1, 1, *size]] * 3


class TestPlans:
    """Real plan files and manifests, as the builder stores them."""

    @pytest.fixture
    def put(self, tmp_path: Path, tiny_model: Path) -> Any:
        artifact = load_artifact(tiny_model)
        base = PlanManifest(
            model=artifact.info.facts(),
            onnx_sha256=artifact.info.onnx_sha256,
            precision="fp32",
            flavour="tensorrt",
            version=TENSORRT.version,
            profiles=[profile(64, 96)],
            flags={},
            device=gpu_facts(ADA),
            calibration_sha256=None,
        )

        def put(name: str, **values: Any) -> Path:
            manifest = replace(base, **values)
            version = bytes(int(part) for part in manifest.version.split("."))
            tag = b"vtrt" if manifest.flavour == "tensorrt-rtx" else b"ftrt"
            plan = tag + bytes(20) + version + name.encode()
            path = tmp_path / f"{name}.plan"
            store(path, plan, manifest.finished(plan, latency_ms=manifest.latency_ms))
            return path

        return put

    def chosen(
        self,
        folder: Path,
        model: Path,
        device: CudaDevice = ADA,
        shapes: tuple[tuple[int, int], ...] = ((64, 96),),
    ) -> str | None:
        entry = fitting_plan(folder, load_artifact(model), device, TENSORRT, shapes)
        return entry.path.stem if entry else None

    def test_none_fits(self, tmp_path: Path, tiny_model: Path, put: Any) -> None:
        assert self.chosen(tmp_path / "none", tiny_model) is None
        put("other-model", onnx_sha256="0" * 64)
        put("other-version", version="11.3.0.106")
        put("other-gpu", device=gpu_facts(replace(ADA, name="Lovelace")))
        put("other-target", device={"targets": ["sm86"]})
        damaged = put("damaged")
        damaged.write_bytes(damaged.read_bytes() + b"x")
        assert self.chosen(tmp_path, tiny_model) is None

    def test_the_fastest_that_was_measured_else_half_precision(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        made_from = {
            "derivation": {"from_sha256": load_artifact(tiny_model).info.onnx_sha256},
        }
        put("fp32")
        assert self.chosen(tmp_path, tiny_model) == "fp32"
        put("fp16", precision="fp16", onnx_sha256="1" * 64, model=made_from)
        put("int8", precision="int8", onnx_sha256="2" * 64, model=made_from)
        assert self.chosen(tmp_path, tiny_model) == "fp16", "int8 is not faster everywhere"
        put(
            "slow",
            precision="int8",
            onnx_sha256="3" * 64,
            model=made_from,
            latency_ms=3.0,
            latency_driver="13.1",
        )
        put(
            "fast",
            precision="fp16",
            onnx_sha256="4" * 64,
            model=made_from,
            latency_ms=2.0,
            latency_driver="13.1",
        )
        assert self.chosen(tmp_path, tiny_model) == "fast"
        # Under the driver before; here it may be slow.
        put("old", precision="int8", onnx_sha256="5" * 64, model=made_from, latency_ms=0.5,
            latency_driver="12.8")  # fmt: skip
        assert self.chosen(tmp_path, tiny_model) == "fast"

    def test_int8_comes_last_where_it_is_not_fused(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        artifact = load_artifact(tiny_model)
        made_from = {"derivation": {"from_sha256": artifact.info.onnx_sha256}}
        rtx = replace(TENSORRT, edition="tensorrt-rtx", version="1.7.1.116")
        facts = {"model": made_from, "flavour": rtx.edition, "version": rtx.version}
        put("int8", precision="int8", onnx_sha256="1" * 64, latency_ms=1.0, **facts)

        def chosen() -> str | None:
            entry = fitting_plan(tmp_path, artifact, ADA, rtx, ((64, 96),))
            return entry.path.stem if entry else None

        assert chosen() == "int8", "it is the only one"
        put("fp16", precision="fp16", onnx_sha256="2" * 64, **facts)
        assert chosen() == "fp16"

    def test_a_plan_must_take_every_size_and_the_one_made_for_the_first_is_best(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        put("small")
        assert self.chosen(tmp_path, tiny_model, shapes=((96, 96),)) is None
        span = [[1, 1, 32, 32], [1, 1, 96, 128], [1, 1, 160, 160]]
        put("any", precision="fp16", onnx_sha256="1" * 64, profiles=[span], model={
            "derivation": {"from_sha256": load_artifact(tiny_model).info.onnx_sha256}
        })  # fmt: skip
        assert self.chosen(tmp_path, tiny_model, shapes=((96, 96),)) == "any"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96),)) == "small"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96), (160, 160))) == "any"
        assert self.chosen(tmp_path, tiny_model, shapes=((64, 96), (192, 160))) is None

    def test_a_plan_for_batches_alone_takes_no_frame(
        self, tmp_path: Path, tiny_model: Path, put: Any
    ) -> None:
        put("four", profiles=[[[4, 1, 64, 96]] * 3])
        assert self.chosen(tmp_path, tiny_model) is None
        put("up-to-four", profiles=[[[1, 1, 64, 96], [4, 1, 64, 96], [4, 1, 64, 96]]])
        assert self.chosen(tmp_path, tiny_model) == "up-to-four"

    def test_targets_fit_by_architecture(self, tmp_path: Path, tiny_model: Path, put: Any) -> None:
        put("ahead", device={"targets": ["sm86", "sm89"]})
        assert self.chosen(tmp_path, tiny_model) == "ahead"
        assert self.chosen(tmp_path, tiny_model, replace(ADA, compute_capability=(12, 0))) is None


LIMIT_S = 60
BUILDER = """
import argparse, os, signal, sys, time
from pathlib import Path
from ladle_rt.cuda.probe import CudaDevice, gpu_facts
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.cache import lock_path, store
from ladle_rt.engines.plan.lock import locked
from ladle_rt.engines.plan.ensure_plan import wanted_manifest
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.models.artifact import load_artifact

mode = sys.argv.pop(1)
parser = argparse.ArgumentParser()
for name, kind in (("model", Path), ("output", Path), ("opt-level", int)):
    parser.add_argument(f"--{name}", type=kind, required=True)
parser.add_argument("--size", action="append", default=[])
asked = parser.parse_args(sys.argv[2:])
print("building by", os.getpid(), file=sys.stderr, flush=True)
if mode == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if mode == "refuse":
    print("ladle-rt: error: TensorRT could not build the plan: no", file=sys.stderr)
    sys.exit(1)
sizes = tuple(tuple(map(int, size.split("x")))[::-1] for size in asked.size)
if mode == "other":
    sizes = ((32, 32),)
settings = BuildSettings(sizes=sizes)
device = CudaDevice("Ada", (8, 9), "13.1")
tensorrt = TensorRT("tensorrt", "11.4.0.106", None)
wanted = wanted_manifest(load_artifact(asked.model), settings, tensorrt, gpu_facts(device))
asked.output.mkdir(exist_ok=True)
path = asked.output / wanted.file_name("trt11.4.0")
with locked(lock_path(path), lambda: None):
    while mode == "wait" and not (asked.output / "go").exists():
        time.sleep(0.02)
    plan = b"ftrt" + bytes(20) + bytes((11, 4, 0, 106)) + b"plan"
    store(path, plan, wanted.finished(plan))
"""
"""In place of the builder, which needs a GPU; takes its arguments and writes what it writes."""


class LeavesWhenTold(list[str]):
    """What is told; the first line is the moment to leave."""

    def __init__(self, leave: threading.Event) -> None:
        super().__init__()
        self._leave = leave

    def append(self, line: str) -> None:
        """Keep a line, and leave."""
        super().append(line)
        self._leave.set()


@pytest.mark.skipif(sys.platform == "win32", reason="processes and signals of POSIX")
class TestBuilding:
    @pytest.fixture
    def builder(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        command = background._command

        def behave(mode: str) -> None:
            monkeypatch.setattr(
                background,
                "_command",
                lambda *asked: [sys.executable, "-c", BUILDER, mode, *command(*asked)[3:]],
            )

        return behave

    @pytest.fixture
    def obtain(self, tmp_path: Path, tiny_model: Path) -> Callable[..., Entry]:
        artifact = load_artifact(tiny_model)
        self.said: list[str] = []

        def obtain(
            shapes: tuple[tuple[int, int], ...] = ((64, 96),),
            leave: threading.Event | None = None,
        ) -> Entry:
            folder = tmp_path / "engines"
            notify = self.said.append
            return obtain_plan(folder, artifact, ADA, TENSORRT, shapes, notify, leave)

        return obtain

    def test_it_is_built_once(self, builder: Any, obtain: Callable[..., Entry]) -> None:
        builder("build")
        assert obtain().problem is None
        assert len(self.said) == 1 and self.said[0].startswith("building by ")
        builder("refuse")
        assert obtain(((64, 96), (640, 512))).problem is None, "it takes those as well"

    def test_sizes_beyond_the_usual_ones_are_built(
        self, builder: Any, obtain: Callable[..., Entry]
    ) -> None:
        builder("build")
        usual = obtain()
        large = obtain(((704, 1280), (352, 640)))
        assert large.path != usual.path and large.manifest is not None
        assert [profile[1][2:] for profile in large.manifest.profiles] == [[704, 1280], [352, 640]]

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            ("refuse", "^TensorRT could not build the plan: no$"),
            ("crash", "builder was ended by SIGSEGV; try `ladle-rt build-engine` by itself"),
            ("other", "no plan there takes 96x64 on Ada, not even the one that was built now"),
        ],
    )
    def test_a_build_that_fails(
        self, builder: Any, obtain: Callable[..., Entry], mode: str, words: str
    ) -> None:
        builder(mode)
        with pytest.raises(BackendError, match=words):
            obtain()

    def test_one_that_does_not_start(
        self, obtain: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(BackendError, match="builder does not start"):
            obtain()

    def test_who_leaves_finds_the_plan_next_time(
        self, builder: Any, obtain: Callable[..., Entry], tmp_path: Path
    ) -> None:
        builder("wait")
        leave = threading.Event()
        self.said = LeavesWhenTold(leave)
        with pytest.raises(BackendError, match=r"^process \d+ goes on building the plan"):
            obtain(leave=leave)
        (tmp_path / "engines").mkdir(exist_ok=True)
        (tmp_path / "engines" / "go").touch()
        deadline = time.monotonic() + LIMIT_S
        while not list(tmp_path.glob("engines/*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        builder("refuse")
        assert obtain().problem is None

    def test_a_builder_that_somebody_waits_for_is_not_left(
        self, builder: Any, obtain: Callable[..., Entry]
    ) -> None:
        builder("wait")
        told: list[str] = []

        def interrupt(line: str) -> None:
            told.append(line)
            raise KeyboardInterrupt

        self.said = SimpleNamespace(append=interrupt)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            obtain()
        process = int(told[0].rpartition(" ")[2])
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

    def test_a_second_run_waits_for_the_first_ones_build(
        self, builder: Any, obtain: Callable[..., Entry], tmp_path: Path
    ) -> None:
        builder("refuse")
        folder = tmp_path / "engines"
        folder.mkdir()
        leave = threading.Event()
        self.said = LeavesWhenTold(leave)
        with (
            locked(lock_path(folder / "x.plan"), lambda: None),
            pytest.raises(BackendError, match="another process goes on building"),
        ):
            obtain(leave=leave)
        assert self.said == [f"{folder}: a plan is being built there; waiting for it"]
        with pytest.raises(BackendError, match="TensorRT could not build"):
            obtain()

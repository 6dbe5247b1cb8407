"""From a request to a plan: targets, devices, and the speed gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan import ensure_plan as module
from ladle_rt.engines.plan.builder import Built
from ladle_rt.engines.plan.cache import inspect_plan
from ladle_rt.engines.plan.ensure_plan import EnsuredPlan, PlanRequest, ensure_plan, faster
from ladle_rt.engines.plan.layers import Layer
from ladle_rt.engines.plan.measure import Measured, measure_plans
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.engines.select_precision import SelectedGraph
from ladle_rt.errors import BackendError, ConfigError
from ladle_rt.models.artifact import load_artifact

ADA = CudaDevice(name="Ada", compute_capability=(8, 9), driver_version="13.1")
HOPPER = CudaDevice(name="Hopper", compute_capability=(9, 0), driver_version="13.1")
CAPABILITIES = SimpleNamespace(
    ComputeCapability=SimpleNamespace(__members__={"NONE": 0, "SM120": 1, "SM86": 2, "SM89": 3})
)
PLAIN = TensorRT("tensorrt", "11.4.0.106", SimpleNamespace())
RTX = TensorRT("tensorrt-rtx", "1.7.1.116", CAPABILITIES)
HEADERS = {"tensorrt": b"ftrt", "tensorrt-rtx": b"vtrt"}


class World:
    """Stands in for TensorRT, the GPU and the preparation of graphs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., Path], at: Path):
        self.tensorrt, self.devices = RTX, (ADA,)
        self.times = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}
        self.built: list[str] = []
        self.measured: list[str] = []
        self.said: list[str] = []
        self.base, self.driver, self.busy = "", "580.65", ""
        self.borders: list[str] = []
        self.folder = at / "engines"
        self.graphs = {}
        base = load_artifact(make_model(at / "tiny.onnx")).info
        for precision in self.times:
            derivation = {} if precision == "fp32" else {"precision": precision}
            path = make_model(at / f"{precision}.onnx", info=replace(base, derivation=derivation))
            self.graphs[precision] = load_artifact(path)
        monkeypatch.setattr(module, "find_tensorrt", lambda wanted=None: self.tensorrt)
        monkeypatch.setattr(module, "cuda_devices", lambda: self.devices)
        monkeypatch.setattr(module, "select_precision", self._prepare)
        monkeypatch.setattr(module, "build_plan", self._build)
        monkeypatch.setattr(module, "measure_plans", self._measure)
        monkeypatch.setattr(module, "driver_release", lambda: self.driver)

    def _prepare(
        self,
        model: Any,
        precision: str,
        calibration: Any,
        folder: Path,
        notify: Any,
        base: str = "fp32",
        border: str = "float32",
    ) -> Any:
        self.borders.append(border)
        chosen = {"auto": "int8"}.get(precision, precision)
        if chosen == "int8":
            self.base = base
        return SelectedGraph(self.graphs[chosen], chosen, "as prepared", gate=None)

    def _build(self, artifact: Any, settings: Any, tensorrt: TensorRT, *rest: Any) -> Built:
        self.built.append(artifact.info.precision)
        version = bytes(int(part) for part in tensorrt.version.split("."))
        tag = HEADERS[tensorrt.edition]
        return Built(tag + bytes(20) + version + artifact.info.precision.encode(), 0.5)

    def _measure(self, plans: list[Path], tensorrt: TensorRT) -> list[Measured]:
        layers = (Layer("a", "Conv", "Int8", "t"),)
        precisions = [plan.read_bytes()[28:].decode() for plan in plans]
        self.measured += precisions
        if self.busy:
            return [Measured(None, layers, self.busy) for _ in plans]
        return [Measured(self.times[precision], layers) for precision in precisions]

    def run(self, precision: Any = "auto", **settings: Any) -> EnsuredPlan:
        calibration = None if precision in ("fp32", "fp16") else Path("calibration")
        request = PlanRequest(
            "tiny",
            precision,
            calibration,
            folder=self.folder,
            settings=BuildSettings(**settings),
        )
        return ensure_plan(request, self.said.append)


@pytest.fixture
def world(
    monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., Path], tmp_path: Path
) -> World:
    return World(monkeypatch, make_model, tmp_path)


def test_int8_stays_where_it_is_faster(world: World) -> None:
    world.tensorrt = PLAIN
    produced = world.run()
    assert produced.precision == "int8" and produced.reason == "as prepared"
    assert world.measured == ["int8", "fp16"]
    assert produced.speed == "INT8 1.000 ms, FP16 2.000 ms on Ada"
    assert world.base == "fp16" and not any("requantises" in line for line in world.said)
    manifest = inspect_plan(produced.plan.path).manifest
    assert manifest and manifest.latency_ms == 1.0 and manifest.layers
    assert world.run().plan.built is False
    assert world.measured == ["int8", "fp16"], "measured once"


def test_another_driver_is_measured_again_and_may_decide_otherwise(world: World) -> None:
    world.tensorrt = PLAIN
    assert world.run().precision == "int8"
    world.driver, world.times["int8"] = "590.10", 2.5
    assert world.run().precision == "fp16"
    assert world.measured == ["int8", "fp16"] * 2 and len(world.built) == 2


def test_kernel_times_are_kept_for_each_gpu_driver_and_version(world: World) -> None:
    first = module._timings(PLAIN, (ADA,))
    assert first is not None and first.name == "trt11.4.0-Ada-sm89-580.65.timings"
    world.driver = ""
    assert module._timings(PLAIN, (ADA,)) == first.with_name("trt11.4.0-Ada-sm89-13.1.timings")
    assert module._timings(PLAIN, ()) is None
    assert module._timings(RTX, (ADA,)) is None, "it times nothing while it builds"


@pytest.mark.parametrize(("asked", "kept"), [("auto", "fp16"), ("int8", "int8")])
def test_two_programs_on_one_gpu_decide_nothing(world: World, asked: str, kept: str) -> None:
    world.tensorrt, world.busy = PLAIN, "others use 90 % of the GPU (processes 7)"
    produced = world.run(asked)
    assert produced.precision == kept and "others use 90 %" in produced.speed
    world.busy = ""
    assert world.run().precision == "int8", "measured when it is idle"


@pytest.mark.parametrize("asked", ["auto", "int8"])
def test_int8_gives_way_where_it_is_not(world: World, asked: str) -> None:
    world.tensorrt, world.times["int8"] = PLAIN, 1.97
    produced = world.run(asked)
    assert produced.precision == "fp16"
    assert produced.reason == "INT8 is no faster here (INT8 1.970 ms, FP16 2.000 ms)"
    assert produced.plan.manifest.precision == "fp16"


def test_int8_is_never_chosen_by_itself_where_it_is_not_fused(world: World) -> None:
    produced = world.run()
    assert produced.precision == "fp16" and world.built == ["fp16"]
    assert produced.reason == (
        "TensorRT-RTX 1.7.1.116 requantises in kernels of their own: INT8 is not faster than FP16 "
        "there"
    )
    later = replace(RTX, version="1.8.0.1")
    assert later.fuses_int8 and PLAIN.fuses_int8 and not RTX.fuses_int8


def test_int8_that_is_asked_for_is_built_and_said_to_be_no_faster(world: World) -> None:
    produced = world.run("int8", targets=("sm86",))
    assert produced.plan.manifest.precision == "int8" and world.built == ["int8"]
    assert "INT8 is not faster than FP16" in produced.speed
    assert any("INT8 is not faster than FP16" in line for line in world.said)


def test_fp16_plans_have_halves_at_both_ends_unless_told_otherwise(world: World) -> None:
    world.tensorrt = PLAIN
    world.run()
    assert world.borders == ["float16"] * 2, "of what is asked for and of what it is timed against"
    request = PlanRequest("tiny", "fp16", border="float32", folder=world.folder)
    ensure_plan(request, world.said.append)
    assert world.borders[2:] == ["float32"]


def test_noise_is_no_gain() -> None:
    assert faster(0.97, 1.0)[0] and not faster(0.985, 1.0)[0]


def test_nothing_is_measured_for_absent_gpus(world: World) -> None:
    assert "not at hand" in world.run(targets=("sm86",)).speed
    world.devices = ()
    assert "not at hand" in world.run(targets=("sm89",)).speed
    assert world.measured == []


def test_rtx_builds_for_the_gpu_at_hand(world: World) -> None:
    assert world.run("fp16").plan.manifest.device == {"targets": ["sm89"]}
    world.devices = (HOPPER,)
    with pytest.raises(BackendError, match=r"Hopper is sm90.*ladle-rt\[tensorrt\]"):
        world.run("fp16")


def test_targets_in_any_order_are_one_plan(world: World) -> None:
    one = world.run("fp16", targets=("sm120", "sm86"))
    assert world.run("fp16", targets=("sm86", "sm120")).plan.path == one.plan.path
    assert world.built == ["fp16"]


def test_tensorrt_binds_a_plan_to_gpu_and_driver(world: World) -> None:
    world.tensorrt, world.devices = PLAIN, (HOPPER,)
    first = world.run("fp32")
    assert first.plan.manifest.device == {
        "name": "Hopper",
        "compute_capability": "9.0",
        "cuda": "13.1",
    }
    world.devices = (replace(HOPPER, driver_version="13.2"),)
    second = world.run("fp32")
    assert second.plan.built and "another device" in second.plan.reason


def test_no_gpu_and_no_target(world: World) -> None:
    world.devices = ()
    with pytest.raises(ConfigError, match=r"--target .of sm86, sm89, sm120"):
        world.run("fp32")
    world.tensorrt = PLAIN
    with pytest.raises(ConfigError, match="use a machine with one"):
        world.run("fp32")


def test_int8_needs_a_calibration() -> None:
    with pytest.raises(ConfigError, match="ladle-rt calibrate"):
        PlanRequest("tiny", "int8")


def test_measuring_without_a_driver_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    with pytest.raises(BackendError, match="no CUDA driver"):
        measure_plans([tmp_path / "x.plan"], RTX)

"""Plans really built by TensorRT-RTX, with no GPU: header, settings, refusals."""

from __future__ import annotations

import gc
import json
import signal
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt, same_version, version_numbers
from ladle_rt.engines.plan import builder
from ladle_rt.engines.plan.builder import Built, build_plan
from ladle_rt.engines.plan.header import PlanHeader, read_header
from ladle_rt.engines.plan.settings import BuildSettings, takes
from ladle_rt.errors import (
    BackendError,
    ConfigError,
    InputError,
    InputNotFoundError,
    MissingDependencyError,
    OutputError,
)
from ladle_rt.models.artifact import ModelArtifact, load_artifact

SMALL = BuildSettings(sizes=((32, 32),), targets=("sm89",), optimization_level=0)


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> ModelArtifact:
    return load_artifact(tiny_model)


@pytest.fixture(scope="module")
def built(rtx: TensorRT, tiny: ModelArtifact) -> Built:
    return build_plan(tiny, SMALL, rtx)


def test_header_is_read_without_tensorrt(built: Built, rtx: TensorRT, tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    path.write_bytes(built.plan)
    assert read_header(path) == PlanHeader("tensorrt-rtx", rtx.version)


@pytest.mark.parametrize("target", ["sm86", "sm89", "sm120"])
def test_targets_reach_the_plan(
    rtx: TensorRT, tiny: ModelArtifact, target: str, built: Built
) -> None:
    plan = build_plan(tiny, BuildSettings(((32, 32),), (target,), None, 0), rtx).plan
    assert (plan == built.plan) == (target == "sm89")


def test_shipped_model_builds_in_one_plan_for_three_gpus(rtx: TensorRT, tmp_path: Path) -> None:
    artifact = load_artifact()
    settings = BuildSettings(targets=("sm86", "sm89", "sm120"), optimization_level=0)
    done: list[tuple[str, float]] = []
    log = tmp_path / "log.txt"
    built = build_plan(artifact, settings, rtx, lambda *step: done.append(step), log)
    assert len(built.plan) > artifact.onnx_path.stat().st_size / 4
    assert len({phase for phase, _ in done}) > 2
    assert all(0 < share <= 1 for _, share in done) and 1.0 in {share for _, share in done}
    assert "VERBOSE: " in log.read_text(encoding="utf-8")


def test_several_sizes_in_one_plan(rtx: TensorRT, tiny: ModelArtifact) -> None:
    settings = BuildSettings(((32, 32), (64, 96)), ("sm89",), 64, 0)
    assert len(build_plan(tiny, settings, rtx).plan) > 1000


def test_a_second_output_is_left_out(
    rtx: TensorRT, built: Built, tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    artifact = load_artifact(make_model(tmp_path / "tiny.onnx", classes=7))
    plan = build_plan(artifact, SMALL, rtx).plan
    assert b"thermal" in plan and b"rgb" in plan and b"classes" not in plan
    assert len(plan) == len(built.plan)


def test_profiles_fix_the_size() -> None:
    settings = BuildSettings(((64, 96), (32, 32)))
    assert settings.profiles() == (((1, 1, 64, 96),) * 3, ((1, 1, 32, 32),) * 3)


@pytest.mark.parametrize(
    ("span", "best"),
    [
        (((32, 32), (96, 640)), (96, 512)),
        (((32, 32), (640, 640)), (384, 512)),
        (((512, 640), (1024, 1280)), (512, 640)),
    ],
)
def test_the_best_of_a_span_lies_within_it(span: Any, best: tuple[int, int]) -> None:
    low, high = span
    ((smallest, middle, largest),) = BuildSettings(span=span).profiles()
    assert (smallest[2:], middle[2:], largest[2:]) == (low, best, high)


def test_without_sizes_the_training_size_is_best_and_every_other_fits(tiny: ModelArtifact) -> None:
    profiles = BuildSettings().for_model(tiny.info).profiles()
    assert profiles == (
        ((1, 1, 64, 96),) * 3,
        ((1, 1, 32, 32), (1, 1, 384, 512), (1, 1, 640, 640)),
    )
    several = BuildSettings(sizes=((640, 512),), batch=8).profiles()
    assert takes(several, (640, 512), 8) and takes(several, (640, 512))
    assert not takes(several, (640, 512), 9) and not takes(profiles, (640, 512), 2)
    with pytest.raises(ConfigError, match="one frame at a time"):
        BuildSettings(batch=2, dla=0)
    assert takes(profiles, (640, 512)) and not takes(profiles, (672, 512))
    # A DLA takes no ranges.
    assert len(BuildSettings(dla=0).for_model(tiny.info).profiles()) == 1
    assert BuildSettings(((32, 32),)).for_model(tiny.info).span is None


def test_a_plan_for_every_size_builds(rtx: TensorRT, tiny: ModelArtifact) -> None:
    settings = BuildSettings(targets=("sm89",), optimization_level=0)
    assert len(build_plan(tiny, settings, rtx).plan) > 1000


def test_a_size_the_network_cannot_take(rtx: TensorRT, tiny: ModelArtifact) -> None:
    with pytest.raises(ConfigError, match="divisible by 32; try 96x64"):
        build_plan(tiny, BuildSettings(((60, 90),)), rtx)


@pytest.mark.parametrize(
    "settings",
    [
        {"sizes": ((0, 32),)},
        {"sizes": ((32, 32), (32, 32))},
        {"targets": ("ada",)},
        {"workspace_mib": 0},
        {"optimization_level": 6},
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        BuildSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"targets": ("sm90",)}, "expected some of sm75.*sm89.*received sm90"),
        ({"timing_cache": Path("timings")}, "times no kernels"),
        ({"dla": 0}, "RTX cards, which have none"),
    ],
)
def test_what_rtx_cannot_do_is_refused(
    rtx: TensorRT, tiny: ModelArtifact, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        build_plan(tiny, BuildSettings(((32, 32),), **settings), rtx)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "cores", "precision", "words"),
    [
        ("10.3.0", 2, "fp16", "no strongly typed network"),
        ("11.4.1", 0, "fp16", "this machine has 0"),
        ("11.4.1", 2, "fp32", "the graph is FP32"),
    ],
)
def test_dla_is_refused_with_the_reason(
    version: str, cores: int, precision: str, words: str
) -> None:
    tensorrt = TensorRT("tensorrt", version, SimpleNamespace())
    builder = SimpleNamespace(num_DLA_cores=cores)
    with pytest.raises(ConfigError, match=words):
        tensorrt.use_dla(builder, SimpleNamespace(), 0, precision)


def test_targets_need_rtx() -> None:
    tensorrt = TensorRT("tensorrt", "11.4.0", SimpleNamespace())
    with pytest.raises(ConfigError, match=r"--target needs TensorRT-RTX.*ladle-rt\[rtx\]"):
        tensorrt.set_targets(SimpleNamespace(), ("sm89",))


def test_strong_typing_shifts_by_the_flag() -> None:
    """The flag is 1 in 10.x and 0 in 11.x: passing it as it is would be weak typing in 11."""
    for value in (1, 0):
        flags = SimpleNamespace(STRONGLY_TYPED=value)
        module = SimpleNamespace(NetworkDefinitionCreationFlag=flags)
        received = TensorRT("tensorrt", "x", module).create_network(
            SimpleNamespace(create_network=lambda flag: flag)
        )
        assert received == 1 << value


def test_foreign_graph_is_refused_in_the_parsers_words(
    rtx: TensorRT, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    import onnx

    path = make_model(tmp_path / "m.onnx")
    graph = onnx.load(path)
    graph.graph.node[1].op_type = "Det"
    artifact = ModelArtifact(path, load_artifact(path).info)
    onnx.save(graph, path)
    with pytest.raises(
        BackendError, match=r"parser refuses the graph: UNSUPPORTED_NODE at Det"
    ) as caught:
        build_plan(artifact, SMALL, rtx)
    assert "\n" not in str(caught.value)
    path.write_bytes(b"not a graph" * 20)
    with pytest.raises(BackendError, match="parser refuses the graph"):
        build_plan(artifact, SMALL, rtx)


def test_another_input_is_refused(
    rtx: TensorRT, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    artifact = load_artifact(make_model(tmp_path / "m.onnx", inputs=3))
    with pytest.raises(BackendError, match="Dimension mismatch for tensor thermal"):
        build_plan(artifact, SMALL, rtx)


def test_failing_progress_stops_the_build(rtx: TensorRT, tiny: ModelArtifact) -> None:
    def stop(phase: str, done: float) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_plan(tiny, SMALL, rtx, stop)


def test_interrupt_stops_the_build(rtx: TensorRT, tiny: ModelArtifact) -> None:
    """Ctrl-C while TensorRT calls back, where an exception would be lost in its C++."""
    before = signal.getsignal(signal.SIGINT)
    steps: list[str] = []

    def interrupt(phase: str, done: float) -> None:
        steps.append(phase)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_plan(tiny, SMALL, rtx, interrupt)
    assert steps and signal.getsignal(signal.SIGINT) is before


def test_timing_cache_is_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "timings"
    given: list[bytes] = []
    config = SimpleNamespace(
        create_timing_cache=given.append, set_timing_cache=lambda cache, ignore: not given[-1]
    )
    tensorrt = TensorRT("tensorrt", "10.3.0", SimpleNamespace())
    tensorrt.set_timing_cache(config, path)
    path.write_bytes(b"of another device")
    with pytest.raises(BackendError, match="not a timing cache of this device"):
        tensorrt.set_timing_cache(config, path)
    assert given == [b"", b"of another device"]
    # Its own it begins anew.
    tensorrt.set_timing_cache(config, path, own=True)
    assert given[2:] == [b"of another device", b""]


def test_kernel_times_of_two_builds_are_kept(tmp_path: Path) -> None:
    """Each began before the other ended; what the file has is joined, not replaced."""

    class Times(set[str]):
        def combine(self, other: Times, ignore_mismatch: bool) -> None:
            assert not ignore_mismatch
            self |= other

        def serialize(self) -> bytes:
            return " ".join(sorted(self)).encode()

    def config(*measured: str) -> SimpleNamespace:
        return SimpleNamespace(
            get_timing_cache=lambda: Times(measured),
            create_timing_cache=lambda data: Times(data.decode().split()),
        )

    path = tmp_path / "timings"
    builder._save_timings(config("a", "b"), path)
    builder._save_timings(config("c"), path)
    assert path.read_text() == "a b c"
    assert [one.name for one in tmp_path.iterdir()] == ["timings"]


def test_no_result_is_one_line(rtx: TensorRT, tiny: ModelArtifact) -> None:
    """A workspace of nothing at all: TensorRT gives None, and its reason is passed on."""
    settings = BuildSettings(((32, 32),), ("sm89",), 1, 0)
    module = rtx.module

    class Poor:
        def __getattr__(self, name: str) -> object:
            return getattr(module, name)

        @staticmethod
        def Builder(logger: object) -> object:  # noqa: N802
            builder = module.Builder(logger)
            return SimpleNamespace(
                create_network=builder.create_network,
                create_builder_config=builder.create_builder_config,
                create_optimization_profile=builder.create_optimization_profile,
                build_serialized_network=lambda network, config: logger.log(  # type: ignore[attr-defined]
                    module.ILogger.ERROR, "Cuda Runtime (cudaError 2:\nout of memory)"
                ),
            )

    with pytest.raises(BackendError, match=r"out of memory\); free device memory"):
        build_plan(tiny, settings, TensorRT("tensorrt-rtx", rtx.version, Poor()))


def test_log_that_cannot_be_written(rtx: TensorRT, tiny: ModelArtifact, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        build_plan(tiny, SMALL, rtx, log=tmp_path / "none" / "log.txt")


def test_files_that_are_no_plans(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    with pytest.raises(InputNotFoundError, match="no such file"):
        read_header(path)
    path.write_bytes(b"ftrt")
    with pytest.raises(InputError, match="received 4 bytes"):
        read_header(path)
    path.write_bytes(b"\x08\x09" * 40)
    with pytest.raises(InputError, match="starts with 08090809"):
        read_header(path)


def test_header_of_tensorrt_proper(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    path.write_bytes(b"ftrt" + bytes(20) + bytes([10, 13, 3, 9]) + bytes(8))
    assert read_header(path) == PlanHeader("tensorrt", "10.13.3.9")


def test_versions() -> None:
    assert version_numbers("10.13.3.9.post1") == (10, 13, 3, 9)
    assert same_version("10.3.0", "10.3.0.26") and not same_version("10.3.0", "10.4.0")
    assert TensorRT("tensorrt", "10.3.0", None).label == "trt10.3.0"


def test_missing_tensorrt_names_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[tensorrt\].*ladle-rt\[rtx\]"):
        find_tensorrt()


def test_old_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(__version__="8.6.1")
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", old)
    with pytest.raises(BackendError, match=r"10\.3 or newer, received 8\.6\.1"):
        find_tensorrt()


def test_layer_reports_of_both_generations() -> None:
    from ladle_rt.engines.plan.layers import Layer, parse_layers, summarize

    name = "conv1 + relu1"
    old = {
        "Layers": [
            {
                "Name": name,
                "LayerType": "CaskConvolution",
                "Inputs": [{"Name": "x", "Format/Datatype": "Half"}],
                "Outputs": [{"Name": "y", "Dimensions": [1, 3, 8, 8], "Format/Datatype": "Half"}],
                "TacticName": "sm80_xmma_fprop",
            },
        ],
        "Bindings": ["x", "y"],
    }
    new = json.loads(json.dumps(old))
    del new["Bindings"]
    new["I/O Tensors"] = [{"Name": "x", "IOMode": "Input", "DataType": "Half"}]
    new["Layers"][0]["Outputs"] = [{"Name": "y", "DataType": "Half", "Format": "kLINEAR"}]
    (first,) = parse_layers(json.dumps(old))
    (second,) = parse_layers(json.dumps(new))
    assert first == Layer(name, "CaskConvolution", "Half", "sm80_xmma_fprop")
    assert second.output == "Half kLINEAR"
    names = parse_layers(json.dumps({"Layers": ["a", "b"]}))
    assert summarize([*names, first]) == [("", "", 2), ("CaskConvolution", "Half", 1)]
    for text in ("", "[]", '{"Layers": [1]}'):
        with pytest.raises(BackendError, match="engine inspector's JSON"):
            parse_layers(text)


@pytest.mark.parametrize("how", ["parser", "progress"])
def test_a_failed_build_leaves_nothing_to_the_collector(
    rtx: TensorRT, tiny: ModelArtifact, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen as a deadlock: a collection inside the logger freed a failed build's builder."""
    kept: list[weakref.ref[object]] = []
    make_logger = builder._make_logger

    def watched(*arguments: object) -> object:
        logger = make_logger(*arguments)  # type: ignore[arg-type]
        kept.append(weakref.ref(logger))
        return logger

    def stop(phase: str, done: float) -> None:
        raise OutputError("enough")

    monkeypatch.setattr(builder, "_make_logger", watched)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    artifact = ModelArtifact(broken, tiny.info) if how == "parser" else tiny
    gc.disable()
    try:
        with pytest.raises((BackendError, OutputError)) as caught:
            build_plan(artifact, SMALL, rtx, stop)
        assert caught.value.__traceback__ is not None
        assert [logger() for logger in kept] == [None]
    finally:
        gc.enable()


def test_the_collector_stays_as_it_was(rtx: TensorRT, tiny: ModelArtifact) -> None:
    seen: set[bool] = set()
    build_plan(tiny, SMALL, rtx, lambda phase, done: seen.add(gc.isenabled()))
    assert seen == {True}

"""The GPU translator on a fake GPU: whole pictures against the CPU, order, bounds, the end."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.config import TranslateOptions
from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.pycuda_gpu import PycudaGpu
from ladle_rt.errors import BackendError, ConfigError, PipelineError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate import PictureSpec
from ladle_rt.translate.base import Translator
from ladle_rt.translate.cpu_translator import CpuTranslator
from ladle_rt.translate.cuda.engine import EnqueueEngine
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.cuda.tensorrt_engine import TensorRtEngine
from ladle_rt.translate.onnxruntime_backend import OnnxRuntimeNetwork
from ladle_rt.translate.postprocess import PostProcessingTranslator

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)
OPTIONS = TranslateOptions(size=(32, 32), steady=0.0)
"""Without flicker suppression, which on the CPU is not the engine's."""


def frame(number: int, shape: tuple[int, int] = (20, 28), dtype: Any = np.uint8) -> Frame:
    rng = np.random.default_rng(number)
    top = 256 if np.dtype(dtype) == np.uint8 else 9000
    ramp = np.linspace(top // 8, top // 2, shape[0] * shape[1]).reshape(shape)
    pixels = (ramp + rng.integers(0, top // 4, shape)).astype(dtype)
    return Frame(pixels, number, timestamp_ns=number * 33_000_000)


def tripled(thermal: np.ndarray) -> np.ndarray:
    return np.repeat(thermal, 3, axis=1)


def translator(
    gpu: FakeGpu,
    info: ModelInfo,
    network: Callable[[Any], Any] | None = None,
    options: TranslateOptions = OPTIONS,
    picture: PictureSpec = YUV,
    slots: int = 3,
    **engine: Any,
) -> GpuTranslator:
    return GpuTranslator(
        gpu.open,
        lambda _: FakeEngine(gpu, network, **engine),
        info,
        options,
        picture,
        slots=slots,
        image=lambda capability: b"cubin",
    )


@pytest.fixture(scope="module")
def info(tiny_model: Path) -> ModelInfo:
    return load_artifact(tiny_model).info


def pictures(ours: Translator, frames: list[Frame]) -> list[np.ndarray]:
    """In batches as large as may be in flight."""
    seen = []
    with ours:
        for start in range(0, len(frames), ours.depth):
            batch = frames[start : start + ours.depth]
            for item in batch:
                ours.submit(item)
            for item in batch:
                result = ours.collect(30)
                assert result.frame is item
                seen.append(result.picture)
    for picture in seen:
        assert picture.data.flags.owndata or picture.data.base.flags.owndata
    return [picture.data for picture in seen]


@pytest.mark.parametrize("layout", ["colour", "side-by-side"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("picture", [YUV, RGB], ids=["yuv420p", "rgb24"])
def test_pictures_are_those_of_the_cpu(
    host_gpu: Any, tiny_model: Path, picture: PictureSpec, dtype: type, layout: Any
) -> None:
    """The whole way of a sequence, ONNX Runtime in place of the engine; sizes change midway."""
    artifact = load_artifact(tiny_model)
    network = OnnxRuntimeNetwork(artifact)
    options = TranslateOptions(size=(64, 96), detail="guided", layout=layout, mark=True, steady=0.0)
    shapes = [(100, 140)] * 4 + [(75, 61)] * 2 + [(100, 140)] * 2
    frames = [frame(number, shape, dtype) for number, shape in enumerate(shapes)]
    cpu = CpuTranslator(network, artifact.info, options, picture, 1)
    gpu = FakeGpu(host_gpu.launch, seed=1)
    expected = pictures(cpu, frames)
    actual = pictures(translator(gpu, artifact.info, network.runner(), options, picture), frames)
    for mine, theirs in zip(actual, expected, strict=True):
        assert mine.shape == theirs.shape
        error = np.abs(mine.astype(int) - theirs)
        # One step of the picture; in 16 bit OpenCV may round a count of the resize otherwise.
        assert error.max() <= (1 if dtype is np.uint8 else 2)
        assert np.count_nonzero(error) <= 8e-3 * error.size
    assert gpu.nothing_left() and not gpu.violations


def test_pictures_are_made_steady_as_after_the_cpu(host_gpu: Any, tiny_model: Path) -> None:
    """By the kernels, where a translator on the CPU leaves it to what comes after."""
    artifact = load_artifact(tiny_model)
    network = OnnxRuntimeNetwork(artifact)
    options = TranslateOptions(size=(64, 96), drift_warning=False)
    shapes = [(100, 140)] * 6 + [(75, 61)] * 3
    frames = [frame(number, shape) for number, shape in enumerate(shapes)]
    cpu = CpuTranslator(network, artifact.info, options, YUV, 1)
    gpu = FakeGpu(host_gpu.launch, seed=3)
    ours = translator(gpu, artifact.info, network.runner(), options, YUV)
    expected, actual = (
        pictures(PostProcessingTranslator(inner, options, artifact.info.thermal), frames)
        for inner in (cpu, ours)
    )
    for mine, theirs in zip(actual, expected, strict=True):
        error = np.abs(mine.astype(int) - theirs)
        assert error.max() <= 1 and np.count_nonzero(error) <= 8e-3 * error.size
    assert gpu.nothing_left() and not gpu.violations


def test_another_box_of_the_network_keeps_the_picture_steady(
    host_gpu: Any, tiny_model: Path
) -> None:
    artifact = load_artifact(tiny_model)
    options = TranslateOptions(size=(64, 96))
    still = frame(0, (100, 140)).pixels
    frames = [Frame(still, number, timestamp_ns=number * 33_000_000) for number in range(3)]
    shown = []
    # The network changes its mind with the box, and is not believed at once.
    with translator(
        FakeGpu(host_gpu.launch), artifact.info, lambda t: tripled(t) * (t.shape[2] / 96), options
    ) as ours:
        for number, item in enumerate(frames):
            if number == 2:
                ours.resize((96, 128))
            ours.submit(item)
            shown.append(ours.collect(30).picture.data[:100].astype(float).mean())
    assert shown[1] == pytest.approx(shown[0], abs=0.1) and 2 < shown[2] - shown[1] < 20


def test_levels_come_with_each_picture(host_gpu: Any, tiny_model: Path) -> None:
    """With several frames in flight each has its own, those that the CPU measures."""
    artifact = load_artifact(tiny_model)
    network = OnnxRuntimeNetwork(artifact)
    options = TranslateOptions(size=(64, 96), steady=0.0)
    cpu = CpuTranslator(network, artifact.info, options, YUV, 1)
    gpu = translator(
        FakeGpu(host_gpu.launch, seed=2), artifact.info, network.runner(), options, YUV
    )
    found = []
    for ours in (cpu, gpu):
        levels = []
        with ours:
            for start in range(0, 8, 2):
                for number in (start, start + 1):
                    ours.submit(frame(number, (100, 140)))
                for _ in range(2):
                    thermal = ours.collect(30).thermal
                    assert thermal is not None
                    levels.append((thermal.levels.low, thermal.levels.mid, thermal.levels.high))
        found.append(levels)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    assert len(set(found[0])) > 1


def test_levels_start_anew_with_another_dtype(host_gpu: Any, tiny_model: Path) -> None:
    artifact = load_artifact(tiny_model)
    network = OnnxRuntimeNetwork(artifact)
    frames = [frame(0), frame(1), frame(2, dtype=np.uint16), frame(3)]
    gpu = FakeGpu(host_gpu.launch)
    options = TranslateOptions(size=(64, 96), detail="guided", steady=0.0)
    actual = pictures(translator(gpu, artifact.info, network.runner(), options), frames)
    expected = pictures(CpuTranslator(network, artifact.info, options, YUV, 1), frames)
    for mine, theirs in zip(actual, expected, strict=True):
        assert np.abs(mine.astype(int) - theirs).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("first", ["cpu", "gpu"])
@pytest.mark.parametrize("tried", [False, True], ids=["fresh", "tried"])
def test_levels_go_on_from_another_translators(
    host_gpu: Any, tiny_model: Path, dtype: type, first: str, tried: bool
) -> None:
    artifact = load_artifact(tiny_model)
    network = OnnxRuntimeNetwork(artifact)
    options = TranslateOptions(size=(64, 96), steady=0.0)
    scene = np.linspace(20, 90, 64 * 96).reshape(64, 96)
    frames = [
        Frame((scene + 9 * number).astype(dtype), number, timestamp_ns=number * 10**8)
        for number in range(6)
    ]

    def on_gpu() -> Translator:
        gpu = FakeGpu(host_gpu.launch)
        gpus.append(gpu)
        return translator(gpu, artifact.info, network.runner(), options)

    def on_cpu() -> Translator:
        return CpuTranslator(network, artifact.info, options, YUV, 2)

    gpus: list[FakeGpu] = []
    expected = pictures(on_cpu(), frames)
    with on_cpu() if first == "cpu" else on_gpu() as before:
        assert before.followed_levels() is None
        for item in frames[:3]:
            before.submit(item)
        # Asked while frames are in flight, and answered after them.
        followed = before.followed_levels()
    assert followed is not None and followed.time_s == pytest.approx(0.2)
    after = on_gpu()
    if tried:
        # As before a warm swap; the levels that it left behind are forgotten.
        after.submit(frame(9, (64, 96), dtype))
        after.collect(30)
    after.resume_levels(followed)
    resumed = after.followed_levels()
    assert resumed is not None and resumed.time_s == followed.time_s
    for name in ("low", "mid", "high"):
        # A GPU holds a level in two floats.
        expected_level = getattr(followed.levels, name)
        assert getattr(resumed.levels, name) == pytest.approx(expected_level, rel=1e-12)
    for mine, theirs in zip(pictures(after, frames[3:]), expected[3:], strict=True):
        assert np.abs(mine.astype(int) - theirs).max() <= 2
    assert all(gpu.nothing_left() and not gpu.violations for gpu in gpus)


def test_a_question_for_levels_is_answered_at_the_end(info: ModelInfo) -> None:
    gpu = FakeGpu(fail_at=("copy_to_host", 0))
    ours = translator(gpu, info)
    ours.submit(frame(0))
    with pytest.raises(BackendError, match="copy_to_host"):
        ours.followed_levels()
    ours.close()
    for call in (ours.followed_levels, lambda: ours.resume_levels(None)):  # type: ignore[arg-type]
        with pytest.raises(BackendError):
            call()


@pytest.mark.parametrize("capturable", [False, True])
def test_graph_and_pieces_are_the_same(host_gpu: Any, info: ModelInfo, capturable: bool) -> None:
    frames = [frame(number) for number in range(5)]
    gpu = FakeGpu(host_gpu.launch)
    mine = pictures(translator(gpu, info, tripled, capturable=capturable), frames)
    other = pictures(translator(FakeGpu(host_gpu.launch), info, tripled), frames)
    assert all(map(np.array_equal, mine, other))
    # Of the frame kernels before and after the network, and of the network where it can be.
    # Each slot's have run once before the first frame.
    assert gpu.calls.count("launch_graph") == (3 + 5) * (3 if capturable else 2)


def test_half_precision_network(host_gpu: Any, info: ModelInfo) -> None:
    frames = [frame(number) for number in range(2)]
    gpus = FakeGpu(host_gpu.launch), FakeGpu(host_gpu.launch)
    full = pictures(translator(gpus[0], info, tripled), frames)
    half = pictures(translator(gpus[1], info, tripled, network_dtype="float16"), frames)
    for mine, other in zip(half, full, strict=True):
        assert np.abs(mine.astype(int) - other).max() <= 1


STEPS = st.lists(st.booleans(), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**16), slots=st.integers(1, 4))
def test_any_interleaving_gives_the_same_pictures(
    host_gpu: Any, info: ModelInfo, steps: list[bool], seed: int, slots: int
) -> None:
    """Streams that run in any order events allow, submits and collects in any order."""
    gpu = FakeGpu(host_gpu.launch, seed=seed)
    seen, submitted = [], 0
    with translator(gpu, info, tripled, slots=slots) as ours:
        for wants_submit in [*steps, *[False] * len(steps)]:
            if wants_submit and submitted - len(seen) < slots:
                assert ours.submit(frame(submitted)) == submitted
                submitted += 1
            elif submitted > len(seen):
                seen.append(ours.collect(30))
    assert gpu.nothing_left() and not gpu.violations
    with translator(FakeGpu(host_gpu.launch), info, tripled, slots=1) as alone:
        for number, result in enumerate(seen):
            assert result.frame.sequence == number
            alone.submit(frame(number))
            expected = alone.collect(30)
            assert np.array_equal(result.picture.data, expected.picture.data)


def test_order_holds_between_two_threads(info: ModelInfo) -> None:
    gpu = FakeGpu(seed=3)
    shapes = [(20, 28), (20, 28), (28, 20), (33, 31)]
    submitted = threading.Semaphore(0)
    with translator(gpu, info) as ours:

        def feed() -> None:
            for number in range(40):
                ours.submit(frame(number, shapes[number // 3 % 4]))
                submitted.release()

        thread = threading.Thread(target=feed, daemon=True)
        thread.start()
        for number in range(40):
            assert submitted.acquire(timeout=30)
            assert ours.collect(30).frame.sequence == number
        thread.join(30)
        assert not thread.is_alive()
    assert gpu.nothing_left() and not gpu.violations


def test_pictures_are_the_callers(host_gpu: Any, info: ModelInfo) -> None:
    with translator(FakeGpu(host_gpu.launch), info, tripled, slots=1) as ours:
        ours.submit(frame(0))
        kept = ours.collect(30).picture.data
        before = kept.copy()
        ours.submit(frame(1))
        ours.collect(30)
    assert np.array_equal(kept, before)


def test_frames_with_gaps_between_their_rows(host_gpu: Any, info: ModelInfo) -> None:
    whole = frame(0)
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 10:38] = whole.pixels
    gpus = FakeGpu(host_gpu.launch), FakeGpu(host_gpu.launch)
    (expected,) = pictures(translator(gpus[0], info, tripled), [whole])
    gapped = replace(whole, pixels=wide[:, 10:38])
    (actual,) = pictures(translator(gpus[1], info, tripled), [gapped])
    assert np.array_equal(actual, expected)


def test_nothing_is_made_per_frame(info: ModelInfo) -> None:
    """Nor waited for but the one event that hands a frame over."""
    gpu = FakeGpu()
    with translator(gpu, info) as ours:
        ours.submit(frame(0))
        ours.collect(30)
        start = len(gpu.calls)
        for number in range(1, 7):
            ours.submit(frame(number))
            ours.collect(30)
        assert gpu.calls[start:] == 6 * [
            *("copy_to_device", "launch_graph", "copy_to_host", "record_event"),
            *("wait_event", "launch_graph", "record_event"),
            *("wait_event", "launch_graph", "copy_to_host", "record_event"),
            "synchronize_event",
        ]


def test_buffers_are_made_anew_only_for_another_kind_of_frame(info: ModelInfo) -> None:
    gpu = FakeGpu()
    kinds = [(20, 28), (20, 28), (28, 20), (28, 20), (20, 28)]
    made = []
    with translator(gpu, info) as ours:
        for number, shape in enumerate(kinds):
            ours.submit(frame(number, shape))
            ours.collect(30)
            made.append(gpu.calls.count("allocate_pinned"))
    assert made == [9, 9, 18, 18, 27]
    assert gpu.nothing_left()


def test_waits_are_bounded(info: ModelInfo) -> None:
    gate = threading.Event()

    def gated(thermal: np.ndarray) -> np.ndarray:
        assert gate.wait(30)
        return tripled(thermal)

    ours = translator(FakeGpu(), info)
    ours.close()
    with pytest.raises(BackendError, match="closed"):
        ours.collect(30)
    with translator(FakeGpu(), info, gated) as ours:
        with pytest.raises(PipelineError, match="without a frame in flight"):
            ours.collect()
        ours.submit(frame(0))
        with pytest.raises(PipelineError, match="no frame translated within"):
            ours.collect(0.01)
        gate.set()
        assert ours.collect(30).frame.sequence == 0
    ours.close()
    with pytest.raises(BackendError, match="closed"):
        ours.submit(frame(1))


def test_submit_blocks_at_depth_and_close_wakes_it(info: ModelInfo) -> None:
    gate, entered = threading.Event(), threading.Event()

    def gated(thermal: np.ndarray) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        return tripled(thermal)

    gpu = FakeGpu()
    ours = translator(gpu, info, gated, slots=2)
    said: list[BaseException] = []

    def expect_the_end(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            said.append(error)

    for number in range(2):
        ours.submit(frame(number))
    calls = (lambda: ours.submit(frame(2)), ours.collect, ours.close)
    threads = [threading.Thread(target=expect_the_end, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
        assert entered.wait(30)
    gate.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert all(isinstance(error, BackendError) and "closed" in str(error) for error in said)
    assert gpu.nothing_left() and not gpu.violations


def test_a_size_that_cannot_be_done_costs_that_frame_alone(info: ModelInfo) -> None:
    gpu = FakeGpu()
    options = TranslateOptions(size=(32, 64))
    with translator(gpu, info, options=options, most=(32, 64)) as ours:
        for number, shape in enumerate([(20, 40), (40, 20), (20, 40)]):
            ours.submit(frame(number, shape))
        assert ours.collect(30).frame.sequence == 0
        with pytest.raises(ConfigError, match=r"up to \(32, 64\), received \(64, 32\)"):
            ours.collect(30)
        assert ours.collect(30).frame.sequence == 2
    assert gpu.nothing_left() and not gpu.violations


def test_odd_sides_are_said_once(info: ModelInfo, caplog: pytest.LogCaptureFixture) -> None:
    with translator(FakeGpu(), info) as ours, caplog.at_level(logging.WARNING):
        for number in range(3):
            ours.submit(frame(number, (21, 29)))
            assert ours.collect(30).picture.data.shape == (30, 28)
    assert [record.getMessage() for record in caplog.records] == [
        "29x21 is odd: the picture is cropped to even by a pixel"
    ]


def test_name_says_engine_and_gpu(info: ModelInfo) -> None:
    with translator(FakeGpu(), info, slots=5) as ours:
        assert isinstance(ours, Translator)
        assert ours.name == "fake on Fake" and ours.depth == 5


@pytest.mark.parametrize(
    ("protocol", "real"),
    [
        (Gpu, PycudaGpu),
        (Gpu, FakeGpu),
        (EnqueueEngine, TensorRtEngine),
        (EnqueueEngine, FakeEngine),
    ],
)
def test_implementations_have_the_interface(protocol: type, real: type) -> None:
    names = [name for name in vars(protocol) if not name.startswith("_")]
    assert len(names) > 5
    for name in names:
        mine = inspect.getattr_static(protocol, name)
        if isinstance(mine, property):
            continue
        theirs = inspect.getattr_static(real, name)
        assert inspect.signature(mine).parameters == inspect.signature(theirs).parameters, name

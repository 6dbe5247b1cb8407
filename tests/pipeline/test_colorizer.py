"""Arrays in, arrays out: shapes, containers, levels, refusals, streams, threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ladle_rt
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import BackendError, ConfigError, InputError, PartialResultError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.pipeline.colorizer import Colorizer

RNG = np.random.default_rng(3)
SCENE = RNG.integers(0, 256, (51, 77), dtype=np.uint8)
OTHER = RNG.integers(60, 120, (51, 77), dtype=np.uint8)


@pytest.fixture
def translate(tiny_model: Path) -> Iterator[Colorizer]:
    with Colorizer(load_artifact(tiny_model), TranslateOptions(threads=2)) as made:
        yield made


def engine_threads() -> int:
    return sum(thread.name.startswith("translate") for thread in threading.enumerate())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.float32, np.float64])
def test_one_picture_of_any_dtype(translate: Colorizer, dtype: Any) -> None:
    thermal = SCENE.astype(dtype)
    kept = thermal.copy()
    picture = translate(thermal)
    assert picture.shape == (51, 77, 3) and picture.dtype == np.uint8
    assert picture.flags.c_contiguous and picture.flags.writeable
    assert np.ptp(picture.astype(int), axis=2).max() > 30
    assert np.array_equal(translate(thermal[..., None]), picture)
    assert np.array_equal(translate(np.flip(np.flip(thermal, 1).copy(), 1)), picture)
    assert np.array_equal(thermal, kept)


def test_floats_in_any_unit_are_one_picture(translate: Colorizer) -> None:
    kelvin = 290 + SCENE.astype(np.float32) / 10
    expected = translate(kelvin).astype(int)
    for other in (kelvin - np.float32(273.15), (kelvin - 290) / 25.5, -1e30 + kelvin * 1e30):
        assert np.abs(translate(other.astype(np.float32)) - expected).max() <= 2
    flat = translate(np.full((32, 32), 20.5, np.float32))
    assert (flat == flat[0, 0]).all()


def test_a_fixed_range_is_in_the_unit_of_the_arrays(tiny_model: Path) -> None:
    artifact = load_artifact(tiny_model)
    celsius = SCENE.astype(np.float32) / 4 - 20
    options = TranslateOptions(threads=1)
    with (
        Colorizer(artifact, options, (-30.0, 60.0)) as ours,
        Colorizer(artifact, replace(options, fixed_range=(1000, 10_000))) as in_counts,
    ):
        expected = in_counts((celsius * 100 + 4000).astype(np.uint16)).astype(int)
        assert np.abs(ours(celsius) - expected).max() <= 1
        streamed = ours.stream([celsius], steady=0)
        assert np.array_equal(next(streamed), ours(celsius))
        # Another picture's extremes move nothing: red follows the value.
        assert ours(celsius / 4)[..., 0].std() < 0.5 * ours(celsius)[..., 0].std()
    for wrong in ((1.0, 1.0), (float("nan"), 2.0), (0.0, float("inf"))):
        with pytest.raises(ConfigError, match="a fixed range must satisfy low < high"):
            Colorizer(artifact, options, wrong)


def test_many_come_back_as_they_were_given(translate: Colorizer) -> None:
    both = [translate(SCENE), translate(OTHER)]
    batch = translate(np.stack([SCENE, OTHER]))
    assert batch.shape == (2, 51, 77, 3) and np.array_equal(batch, np.stack(both))
    assert np.array_equal(translate(np.stack([SCENE, OTHER])[..., None]), batch)
    assert translate(SCENE[None]).shape == (1, 51, 77, 3)
    listed = translate([SCENE, OTHER])
    assert isinstance(listed, list) and np.array_equal(np.stack(listed), batch)
    pair = translate((SCENE, OTHER.astype(np.uint16)))
    assert isinstance(pair, tuple) and np.array_equal(pair[0], both[0])
    assert translate([]) == [] and translate(()) == ()
    sizes = [SCENE, OTHER[:20, :60], SCENE.T.copy(), SCENE]
    mixed = translate(sizes)
    assert [one.shape for one in mixed] == [(*one.shape, 3) for one in sizes]
    assert np.array_equal(mixed[0], both[0]) and np.array_equal(mixed[3], both[0])


def test_calls_have_no_memory(translate: Colorizer) -> None:
    alone = translate(SCENE)
    translate([SCENE // 4 + 20, SCENE // 5])
    assert np.array_equal(translate(SCENE), alone)


@pytest.mark.parametrize(
    ("thermal", "message"),
    [
        (np.zeros((4, 6, 3), np.uint8), "received 4x6x3, a colour picture"),
        (np.zeros((2, 4, 6, 4), np.uint8), "received 2x4x6x4, a colour picture"),
        (np.zeros((0, 6), np.uint8), "empty array, 0x6"),
        (np.zeros((0, 4, 6), np.uint8), "empty array, 0x4x6"),
        (np.zeros(6, np.uint8), "expected HxW, HxWx1 or a batch of them, received 6"),
        (np.array(1, np.uint8), "received a single number"),
        (np.zeros((2, 2, 4, 6), np.uint8), "received 2x2x4x6"),
        (np.zeros((4, 6), np.int32), "expected uint8, uint16 or float32, received int32"),
        (np.zeros((4, 6), bool), "received bool"),
        (np.full((4, 6), np.nan, np.float32), "received only NaN and infinities"),
        (np.array([[np.inf, 1e300]]), "received only NaN and infinities"),
        ([SCENE, SCENE[None]], r"thermal\[1\]: expected HxW or HxWx1, received 1x51x77"),
        ([SCENE, None], r"thermal\[1\]: expected a NumPy array, received NoneType"),
        ("in.png", "expected a NumPy array, received str"),
    ],
)
def test_refusals_are_one_line(translate: Colorizer, thermal: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        translate(thermal)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_pixels_without_a_value_do_not_set_the_levels(translate: Colorizer) -> None:
    degrees = 10 + SCENE.astype(np.float32) / 8
    holed = degrees.copy()
    holed[:2], holed[5, 5] = np.nan, -np.inf
    assert np.isnan(holed[0]).all()
    difference = np.abs(translate(holed).astype(int) - translate(degrees))[5:]
    assert np.median(difference) <= 2
    assert np.isnan(holed[0]).all(), "the caller's array is only read"


def test_black_hot_arrays_are_turned(tiny_model: Path) -> None:
    with (
        ladle_rt.load(tiny_model) as white,
        ladle_rt.load(tiny_model, polarity="black-hot") as black,
    ):
        assert np.array_equal(black(255 - SCENE), white(SCENE))
        turned = next(black.stream([255 - SCENE]))
        assert np.array_equal(turned, next(white.stream([SCENE])))


def test_an_error_leaves_nothing_in_flight(
    translate: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = translate(OTHER)
    engine = translate._engine
    assert engine is not None
    monkeypatch.setattr(engine._engine, "_run", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        translate([SCENE] * 5)
    assert np.array_equal(translate(OTHER), expected)


def test_an_engine_lasts_as_long_as_its_size(translate: Colorizer) -> None:
    translate(SCENE)
    first = translate._engine
    translate([SCENE, OTHER])
    assert translate._engine is first
    translate(SCENE.T)
    assert translate._engine is not first and engine_threads() <= 2


def test_a_stream_is_in_order_and_follows_levels(translate: Colorizer) -> None:
    frames = [SCENE // 2 + n for n in range(20)]
    pictures = list(translate.stream(iter(frames), steady=0))
    assert len(pictures) == 20 and pictures[0].shape == (51, 77, 3)
    assert np.array_equal(pictures[0], translate(frames[0]))
    # The levels lag behind the rising scene, so it gets brighter: red follows the thermal value.
    assert pictures[-1][..., 0].mean() > pictures[0][..., 0].mean() + 1
    assert abs(translate(frames[-1])[..., 0].mean() - pictures[0][..., 0].mean()) < 1
    assert list(translate.stream([])) == []


def test_time_comes_from_frames_and_from_fps(translate: Colorizer) -> None:
    rising = [SCENE // 2 + n for n in range(8)]
    timed = [Frame(one, n, 0, n, Fraction(1, 5)) for n, one in enumerate(rising)]
    slow = list(translate.stream(timed, steady=0))
    assert all(map(np.array_equal, slow, translate.stream(rising, fps=5, steady=0)))
    assert not np.array_equal(slow[-1], list(translate.stream(rising, steady=0))[-1])
    items = list(translate.stream_frames(timed))
    assert [item.frame.time_s for item in items] == [frame.time_s for frame in timed]
    assert all(item.picture.format == "rgb24" for item in items)


def test_a_stream_is_steady(translate: Colorizer) -> None:
    noisy = [SCENE // 2 + RNG.integers(0, 3, SCENE.shape, dtype=np.uint8) for _ in range(12)]

    def flicker(steady: float) -> float:
        shown = [one.astype(float) for one in translate.stream(noisy, steady=steady)]
        return float(np.mean([np.abs(b - a).mean() for a, b in zip(shown, shown[1:])]))  # noqa: B905, RUF007

    assert flicker(1.0) < 0.6 * flicker(0.0)


def test_a_reused_buffer_and_floats_in_a_stream(translate: Colorizer) -> None:
    frames = [(SCENE // 2 + n).astype(np.float32) / 7 for n in range(6)]

    def buffered() -> Iterator[np.ndarray]:
        buffer = np.empty_like(SCENE)
        for n in range(6):
            buffer[:] = SCENE // 2 + n
            yield buffer

    counted = list(translate.stream(buffered(), steady=0))
    apart = [SCENE // 2 + n for n in range(6)]
    assert all(map(np.array_equal, counted, translate.stream(apart, steady=0)))
    for a, b in zip(counted, translate.stream(frames, steady=0), strict=True):
        assert np.abs(a.astype(int) - b).max() <= 2
    wide = [frames[0], frames[0] * 100 - 50, frames[0]]
    assert len(list(translate.stream(wide))) == 3


def test_slow_frames_are_handed_on_with_the_next(translate: Colorizer) -> None:
    given = 0

    def slow() -> Iterator[np.ndarray]:
        nonlocal given
        for given in range(1, 6):
            yield SCENE // 2 + given
            for engine in translate._streaming:
                # The last frame is ready, or was handed on already.
                for flying in list(engine._engine._flying)[-1:]:  # type: ignore[attr-defined]
                    flying.exception(10)

    stream = translate.stream(slow(), steady=0)
    assert all(given - number <= 1 for number, _ in enumerate(stream, 1)) and given == 5


def test_errors_come_after_the_pictures_before_them(translate: Colorizer) -> None:
    def read(error: Exception) -> Iterator[Any]:
        yield from (SCENE, OTHER, SCENE)
        raise error

    for error in (PartialResultError("cut short"), KeyError("own")):
        stream = translate.stream(read(error))
        assert len([next(stream) for _ in range(3)]) == 3
        with pytest.raises(type(error)):
            next(stream)
    for wrong, message in (
        (SCENE[:20], "frame 2: expected 77x51 pixels like the first, received 77x20"),
        (np.zeros((51, 77, 3), np.uint8), "frame 2: expected thermal intensities"),
    ):
        stream = translate.stream([SCENE, OTHER, wrong])
        assert len([next(stream) for _ in range(2)]) == 2
        with pytest.raises(InputError, match=message):
            next(stream)
    assert engine_threads() == 0


def test_faulty_frames_are_left_out(translate: Colorizer) -> None:
    broken = Frame(SCENE[:0], 1, 0, fault="short buffer")
    assert len(list(translate.stream([Frame(SCENE, 0, 0), broken, Frame(SCENE, 2, 0)]))) == 2


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": float("inf")}, {"steady": 1.5}])
def test_a_stream_refuses_at_the_call(translate: Colorizer, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        translate.stream([SCENE], **wrong)


def test_leaving_a_stream_early_leaves_nothing_behind(translate: Colorizer) -> None:
    asked = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal asked
        while True:
            asked += 1
            yield SCENE

    for number, _ in enumerate(translate.stream(endless())):
        if number == 2:
            break
    assert engine_threads() == 0 and asked <= 3 + 5
    stream = translate.stream(endless())
    next(stream)
    stream.close()
    assert engine_threads() == 0


def test_threads_take_turns_and_streams_run_beside(translate: Colorizer) -> None:
    expected = {0: translate(SCENE), 1: translate(OTHER)}
    streamed = list(translate.stream([SCENE, OTHER] * 3))

    def work(number: int) -> bool:
        if number % 3 == 2:
            return all(map(np.array_equal, translate.stream([SCENE, OTHER] * 3), streamed))
        picture = translate((SCENE, OTHER)[number % 2])
        return np.array_equal(picture, expected[number % 2])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


def test_closed_is_closed(translate: Colorizer) -> None:
    translate(SCENE)
    moving = translate.stream(SCENE // 2 + n for n in range(50))
    still = translate.stream([SCENE] * 50)
    next(moving), next(still)
    translate.close()
    translate.close()
    assert engine_threads() == 0
    for stream in (moving, still):
        with pytest.raises(BackendError, match="is closed"):
            list(stream)
    with pytest.raises(BackendError, match="the colorizer is closed; load the model again"):
        translate(SCENE)
    with pytest.raises(RuntimeError, match="the colorizer is closed"):
        next(translate.stream([SCENE]))

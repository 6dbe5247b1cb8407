"""Times of a real translator on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladle_rt.benchmark.latency import (
    LEAST_FRAMES,
    LatencyLimits,
    TimedNetwork,
    idle_latency,
    repeat,
    saturated,
    translate_all,
)
from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import load_artifact
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.translate import PictureSpec, load_network
from ladle_rt.translate.cpu_translator import CpuTranslator

Measured = tuple[CpuTranslator, TimedNetwork]


@pytest.fixture
def measured(tiny_model: Path) -> Iterator[Measured]:
    artifact = load_artifact(tiny_model)
    network = TimedNetwork(load_network(artifact, "onnxruntime", 2))
    options, picture = TranslateOptions(threads=2), PictureSpec("yuv420p", even=True)
    with CpuTranslator(network, artifact.info, options, picture, 2) as translator:
        yield translator, network


@pytest.fixture
def frames() -> list[Frame]:
    return list(SyntheticSource(DriveOptions(96, 64, seconds=0.1)))


def test_stages_add_up_to_the_whole(measured: Measured, frames: list[Frame]) -> None:
    times = idle_latency(*measured, frames, LatencyLimits(60, 12))
    assert {len(values) for values in times.values()} == {12}
    for total, *stages in zip(*times.values(), strict=True):
        assert total == pytest.approx(sum(stages)) and min(stages) > 0


def test_a_full_translator(measured: Measured, frames: list[Frame]) -> None:
    found = saturated(measured[0], frames, LatencyLimits(60, 20))
    assert len(found.latency_ms) == 20 and found.fps > 0 and found.cpu_ms > 0
    # Little's law: so many frames are in flight all the time.
    in_flight = found.fps * sum(found.latency_ms) / len(found.latency_ms) / 1e3
    assert in_flight == pytest.approx(measured[0].depth, rel=0.5)
    assert len(translate_all(measured[0], frames)) == len(frames), "nothing is left in flight"


def test_time_ends_a_measurement_but_not_before_the_least(
    measured: Measured, frames: list[Frame]
) -> None:
    assert len(saturated(measured[0], frames, LatencyLimits(0, 1000)).latency_ms) == LEAST_FRAMES


def test_repeated_frames_are_one_video(frames: list[Frame]) -> None:
    shown = list(itertools.islice(repeat(frames), 3 * len(frames)))
    assert [frame.sequence for frame in shown] == list(range(len(shown)))
    assert all(b.time_s > a.time_s for a, b in itertools.pairwise(shown))
    assert shown[0].pixels is shown[len(frames)].pixels

"""Every size of network that a run may come to is taken by the plan that is chosen for it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladle_rt.config import Quality, TranslateOptions
from ladle_rt.engines.plan.settings import BuildSettings, settings_for, takes
from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate.cuda.gpu_translator import GpuTranslator
from ladle_rt.translate.network_size import NetworkSize, Size
from ladle_rt.translate.select import FOR_VIDEO

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeEngine, FakeGpu

SHIPPED = load_artifact().info
MODELS = [
    replace(SHIPPED, look="none"),
    replace(SHIPPED, look="daylight"),
    replace(SHIPPED, look="daylight", train_size=(704, 960)),
]
FRAMES = [
    *((512, 640), (480, 640), (120, 160), (720, 1280), (1080, 1920)),
    *((640, 480), (1280, 720), (512, 512), (33, 1000), (1, 1)),
]
CHOICES: list[dict[str, Any]] = [
    *({"quality": quality} for quality in (None, "fast", "balanced", "best")),
    *({"size": size} for size in ((384, 512), (100, 333), (1024, 1280))),
]


def plan_for(info: ModelInfo, shapes: tuple[Size, ...]) -> Any:
    """The profiles that are built for a run, which depend on its sizes alone."""
    return settings_for(info, shapes).for_model(info).profiles()


def translator(info: ModelInfo, options: TranslateOptions, profiles: Any) -> GpuTranslator:
    gpu = FakeGpu()
    return GpuTranslator(
        gpu.open,
        lambda _: FakeEngine(gpu, profiles=profiles),
        info,
        options,
        FOR_VIDEO,
        slots=1,
        image=lambda capability: b"cubin",
    )


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("frame", FRAMES, ids=str)
@pytest.mark.parametrize("budget", [False, True], ids=["", "budget"])
@pytest.mark.parametrize("info", MODELS, ids=["plain", "look", "large"])
def test_every_size_of_a_run_has_a_profile(
    info: ModelInfo, frame: Size, choice: dict[str, Any], budget: bool
) -> None:
    usual: Quality
    for usual in ("fast", "balanced", "best"):
        size = NetworkSize(TranslateOptions(**choice), info, usual, budget)
        profiles = plan_for(info, size.shapes(frame))
        assert all(takes(profiles, shape) for shape in size.shapes(frame))
        for low, best, high in profiles:
            assert low <= best <= high
            assert all(side % info.size_multiple == 0 for side in (*low[2:], *best[2:], *high[2:]))


@pytest.mark.parametrize("choice", [{}, {"quality": "balanced"}, {"size": (1024, 1280)}], ids=str)
@pytest.mark.parametrize("frame", [(96, 128), (72, 128), (128, 72), (512, 512)], ids=str)
def test_a_budget_moves_through_all_of_its_boxes(frame: Size, choice: dict[str, Any]) -> None:
    """On the fake GPU, whose engine refuses what its profiles do not hold."""
    info = MODELS[1]
    size = NetworkSize(TranslateOptions(**choice), info, "fast", climbs=True)
    profiles = plan_for(info, size.shapes(frame))
    with translator(info, size.settled(frame), profiles) as ours:
        boxes = size.boxes(frame)
        assert len(boxes) >= 4
        for number, box in enumerate((ours.network_size, *boxes)):
            assert ours.supports(frame, box)
            ours.resize(box)
            ours.submit(Frame(np.zeros(frame, np.uint8), number, timestamp_ns=number))
            assert ours.collect(30).frame.sequence == number


def test_a_translator_says_what_its_plan_cannot_do() -> None:
    info = MODELS[0]
    profiles = BuildSettings(sizes=(info.train_size,)).for_model(info).profiles()
    with translator(info, TranslateOptions(), profiles) as ours:
        for frame, box, can in (
            ((720, 1280), (192, 256), False),
            ((480, 640), (192, 256), True),
            ((640, 480), (192, 256), False),
            ((480, 640), (160, 224), False),
        ):
            assert ours.supports(frame, box) is can
            ours.resize(box)
            ours.submit(Frame(np.zeros(frame, np.uint8), 0, timestamp_ns=0))
            if can:
                assert ours.collect(30).frame.pixels.shape == frame
            else:
                with pytest.raises(ConfigError, match="this engine takes"):
                    ours.collect(30)

"""Which size the network works in where nobody said it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ladle_rt.config import Quality, TranslateOptions
from ladle_rt.models.artifact import ModelInfo, load_artifact
from ladle_rt.translate.network_size import NetworkSize, ladder

FRAME = (512, 640)
PLAIN = replace(load_artifact().info, look="none")
DAYLIGHT = replace(PLAIN, look="daylight")


@pytest.mark.parametrize(
    ("usual", "box"), [("fast", (192, 256)), ("balanced", (288, 384)), ("best", (512, 640))]
)
def test_a_model_with_a_look_is_used_as_the_command_wants(
    usual: Quality, box: tuple[int, int]
) -> None:
    assert NetworkSize(TranslateOptions(), DAYLIGHT, usual).box(FRAME) == box
    assert NetworkSize(TranslateOptions(), PLAIN, usual).box(FRAME) == (192, 256)


@pytest.mark.parametrize("info", [PLAIN, DAYLIGHT], ids=["plain", "daylight"])
def test_what_was_chosen_goes_before_what_is_usual(info: ModelInfo) -> None:
    best = NetworkSize(TranslateOptions(quality="best"), info, "fast", climbs=True)
    assert best.box(FRAME) == best.boxes(FRAME)[0] == (512, 640)
    assert best.settled(FRAME) == TranslateOptions(size=(512, 640))
    own = NetworkSize(TranslateOptions(size=(64, 96)), info, "best", climbs=True)
    assert own.box(FRAME) == own.boxes(FRAME)[0] == (64, 96)


def test_boxes_of_a_budget_get_smaller_and_stay_divisible() -> None:
    assert ladder((192, 256), (192, 256)) == ((192, 256), (160, 224), (128, 160), (96, 128))
    assert ladder((32, 32), (32, 32)) == ((32, 32),)
    assert ladder((512, 640), (192, 256)) == (
        *((512, 640), (416, 544), (352, 416), (256, 320)),
        *((192, 256), (160, 224), (128, 160), (96, 128)),
    )


def test_only_a_budget_moves_the_box_and_only_a_look_lets_it_climb() -> None:
    assert NetworkSize(TranslateOptions(), DAYLIGHT, "fast").boxes(FRAME) == ((192, 256),)
    plain = NetworkSize(TranslateOptions(), PLAIN, "fast", climbs=True)
    assert plain.boxes(FRAME) == ladder((192, 256), (192, 256))
    climbing = NetworkSize(TranslateOptions(), DAYLIGHT, "fast", climbs=True)
    assert climbing.box(FRAME) == (192, 256)
    assert climbing.boxes(FRAME) == ladder(FRAME, (192, 256))
    # Every rung counts, and that of the box to begin with comes first.
    assert climbing.shapes(FRAME)[0] == (192, 256)
    assert set(climbing.shapes(FRAME)) >= {(512, 640), (352, 416), (96, 128)}


def test_shapes_are_what_the_network_is_given() -> None:
    balanced = NetworkSize(TranslateOptions(quality="balanced"), PLAIN, "fast")
    assert balanced.shapes((720, 1280)) == ((224, 384),)
    assert balanced.shapes((1280, 720)) == ((384, 224),)

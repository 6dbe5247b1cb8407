"""What each kind of thing looks like, in the tones of whichever palette."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ladle_rt.sources.drive.drive_palettes import Canvas, Part, Tone
from ladle_rt.sources.drive.drive_scene import Thing, ThingKind

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
ToneOf = Callable[[Part, int], Tone]


def paint_thing(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf, now_s: float) -> None:
    """Paint a thing into its box; only people move by themselves with the time."""
    if thing.kind == "person":
        _person(canvas, thing, box, tone, now_s)
    else:
        _STILL[thing.kind](canvas, thing, box, tone)


def _tree(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    middle = (left + right) // 2
    trunk = max(1, width // 14)
    corners = (middle - trunk, top + height // 2), (middle + trunk, bottom)
    cv2.rectangle(canvas, *corners, tone("trunk", thing.warmth), -1)
    # Leaves by the thing's own generator: the tree looks the same in every frame.
    rng = np.random.default_rng(int(abs(thing.side) * 1e4 + thing.width * 1e3))
    for _ in range(26):
        x = middle + int(rng.normal(0, 0.24) * width)
        y = top + int((0.34 + rng.normal(0, 0.16)) * height)
        radius = max(1, int(width * rng.uniform(0.08, 0.18)))
        leaves = tone("leaves", thing.warmth + int(rng.integers(-22, 23)))
        cv2.circle(canvas, (x, y), radius, leaves, -1, cv2.LINE_AA)


def _house(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    cv2.rectangle(canvas, (left, top), (right, bottom), tone("wall", thing.warmth), -1)
    roof = np.array([(left - width // 12, top), (right + width // 12, top)], np.int32)
    peak = np.array([[(left + right) // 2, top - height // 4]], np.int32)
    cv2.fillPoly(canvas, [np.concatenate([roof, peak])], tone("roof", thing.warmth), cv2.LINE_AA)
    for row in (0.2, 0.58):
        for column in (0.12, 0.42, 0.72):
            corner = (left + int(column * width), top + int(row * height))
            end = (corner[0] + width // 7, corner[1] + height // 5)
            cv2.rectangle(canvas, corner, end, tone("window", thing.warmth), -1)


def _pole(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf) -> None:
    cv2.rectangle(canvas, box[:2], box[2:], tone("pole", thing.warmth), -1)


def _person(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf, now_s: float) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    middle, thick = (left + right) // 2, max(1, width // 4)
    head = max(1, height // 12)
    cv2.circle(canvas, (middle, top + head), head, tone("head", thing.warmth), -1, cv2.LINE_AA)
    hip = top + int(0.52 * height)
    cv2.ellipse(
        canvas, (middle, (top + 2 * head + hip) // 2), (max(1, width // 3), height // 5), 0, 0, 360,
        tone("coat", thing.warmth), -1, cv2.LINE_AA,
    )  # fmt: skip
    swing = int(0.3 * width * np.sin(7 * now_s + thing.ahead))
    legs = tone("legs", thing.warmth)
    for foot in (middle - swing, middle + swing):
        cv2.line(canvas, (middle, hip), (foot, bottom), legs, thick, cv2.LINE_AA)


def _car(canvas: Canvas, thing: Thing, box: Box, tone: ToneOf) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    under, shade = ((left + right) // 2, bottom), (width // 2, max(1, height // 10))
    cv2.ellipse(canvas, under, shade, 0, 0, 360, tone("shadow", thing.warmth), -1)
    cabin = [
        (left + width // 5, top), (right - width // 5, top),
        (right - width // 12, top + height * 2 // 5), (left + width // 12, top + height * 2 // 5),
    ]  # fmt: skip
    cv2.fillPoly(canvas, [np.array(cabin, np.int32)], tone("cabin", thing.warmth), cv2.LINE_AA)
    body = ((left, top + height * 2 // 5), (right, bottom - height // 8))
    cv2.rectangle(canvas, *body, tone("body", thing.warmth), -1)
    rear = ((left + width // 6, bottom - height // 3), (right - width // 6, bottom - height // 8))
    cv2.rectangle(canvas, *rear, tone("rear", thing.warmth), -1)
    rubber = tone("wheel", thing.warmth)
    for wheel in (left + width // 7, right - width // 7):
        size = (max(1, width // 12), max(1, height // 7))
        cv2.ellipse(
            canvas, (wheel, bottom - height // 10), size, 0, 0, 360, rubber, -1, cv2.LINE_AA
        )


_STILL: dict[ThingKind, Callable[[Canvas, Thing, Box, ToneOf], None]] = {
    "tree": _tree,
    "house": _house,
    "pole": _pole,
    "car": _car,
}

"""Paint a scene from far to near, as a camera behind the windscreen sees it."""

from __future__ import annotations

import cv2
import numpy as np

from ladle_rt.sources.drive.drive_palettes import Canvas, Palette, Tone
from ladle_rt.sources.drive.drive_scene import FARTHEST_M, NEAREST_M, SPEED_M_S, Scene, Thing
from ladle_rt.sources.drive.things import paint_thing

HORIZON = 0.42
"""Height of the horizon, share of the picture."""
CAMERA_HEIGHT_M = 1.4


class ScenePainter:
    """Pictures of one scene in one palette; painters of other palettes are aligned with it."""

    def __init__(self, scene: Scene, palette: Palette, width: int, height: int) -> None:
        self._scene, self._palette = scene, palette
        self._width, self._height = width, height
        self._focal = width * 0.9
        clouds = cv2.resize(scene.clouds, (width, height), interpolation=cv2.INTER_CUBIC)
        self._sky = palette.sky(clouds.astype(np.float32, copy=False))

    def paint(self, now_s: float) -> Canvas:
        """The view at a time of the drive, without noise: HxW, or HxWx3 sRGB."""
        canvas = self._sky.copy()
        self._paint_road(canvas, SPEED_M_S * now_s)
        placed = [
            (thing, thing.ahead + (thing.speed - SPEED_M_S) * now_s) for thing in self._scene.things
        ]
        for thing, ahead in sorted(placed, key=lambda item: -item[1]):
            if NEAREST_M < ahead < FARTHEST_M:
                self._paint_at(canvas, thing, ahead, now_s)
        blurred: Canvas = cv2.GaussianBlur(canvas, (0, 0), 0.7)  # type: ignore[assignment]
        return blurred

    def _point(self, side: float, up: float, ahead: float) -> tuple[int, int]:
        """Project metres to pixels."""
        x = self._width / 2 + self._focal * side / ahead
        y = HORIZON * self._height + self._focal * (CAMERA_HEIGHT_M - up) / ahead
        return int(np.clip(x, -1e6, 1e6)), int(np.clip(y, -1e6, 1e6))

    def _quad(
        self, canvas: Canvas, sides: tuple[float, float], span: tuple[float, float], tone: Tone
    ) -> None:
        """Fill a strip of ground between two sides and two distances."""
        near, far = max(span[0], 2.0), span[1]
        corners = [
            self._point(sides[0], 0, near),
            self._point(sides[1], 0, near),
            self._point(sides[1], 0, far),
            self._point(sides[0], 0, far),
        ]
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], tone, cv2.LINE_AA)

    def _paint_road(self, canvas: Canvas, travelled: float) -> None:
        tones = self._palette.ground
        top = round(HORIZON * self._height)
        canvas[top:] = tones["verge"]
        for sides in ((-7.5, -4.2), (4.2, 7.5)):
            self._quad(canvas, sides, (2.0, 400.0), tones["pavement"])
        self._quad(canvas, (-4.2, 4.2), (2.0, 400.0), tones["road"])
        for side in (-4.0, 4.0):
            self._quad(canvas, (side - 0.08, side + 0.08), (2.0, 90.0), tones["edge line"])
        for start in np.arange(-(travelled % 9.0), 90.0, 9.0):
            if start + 3 > 2.0:
                self._quad(canvas, (-0.08, 0.08), (start, start + 3), tones["dash"])
        rows = np.arange(top + 1, self._height)
        metres = self._focal * CAMERA_HEIGHT_M / (rows - HORIZON * self._height) + travelled
        strips = self._scene.asphalt[(metres * 6).astype(int) % len(self._scene.asphalt)]
        grain = cv2.resize(strips, (self._width, len(rows)), interpolation=cv2.INTER_LINEAR)
        if canvas.ndim == 3:
            grain = cv2.merge([grain] * canvas.shape[2])
        canvas[top + 1 :] = cv2.add(canvas[top + 1 :], grain, dtype=cv2.CV_8U)

    def _paint_at(self, canvas: Canvas, thing: Thing, ahead: float, now_s: float) -> None:
        left, top = self._point(thing.side - thing.width / 2, thing.height, ahead)
        right, bottom = self._point(thing.side + thing.width / 2, 0, ahead)
        if right - left >= 2 and bottom - top >= 2:
            paint_thing(canvas, thing, (left, top, right, bottom), self._palette.tone, now_s)

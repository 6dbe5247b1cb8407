"""Degrees of FLIR's raw counts, from the record of a file that describes camera and scene."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

from ladle_rt.temperature import KELVIN_0, PlanckScale

RECORD = 0x20
"""``CameraInfo``; the places in it are those of ExifTool's FLIR.pm."""
_FIELDS = {
    "emissivity": 0x20,
    "distance_m": 0x24,
    "reflected_k": 0x28,
    "air_k": 0x2C,
    "window_k": 0x30,
    "window_transmission": 0x34,
    "humidity": 0x3C,
    "r1": 0x58,
    "b": 0x5C,
    "f": 0x60,
    "alpha1": 0x70,
    "alpha2": 0x74,
    "beta1": 0x78,
    "beta2": 0x7C,
    "x": 0x80,
    "r2": 0x30C,
}
"""float32."""
_O = 0x308
"""int32."""
_END = 0x310


def planck_scale(record: bytes, order: str) -> PlanckScale | None:
    """The scale that a record gives; ``None`` where its figures make no sense.

    Args:
        record: the camera's, whole.
        order: ``<`` or ``>``.
    """
    if len(record) < _END:
        return None
    v = {name: struct.unpack_from(order + "f", record, at)[0] for name, at in _FIELDS.items()}
    black_body = PlanckScale(
        v["r1"], v["r2"], v["b"], v["f"], struct.unpack_from(order + "i", record, _O)[0]
    )
    plausible = (
        all(map(math.isfinite, v.values()))
        and min(v["r1"], v["r2"], v["b"]) > 0
        # Else a warm enough body has no finite signal: no camera is like that.
        and 0 <= v["f"] <= 100
        and v["b"] > 500
        and 0 < v["emissivity"] <= 1
        and 0 < v["window_transmission"] <= 1
        and min(v["reflected_k"], v["air_k"], v["window_k"]) > 100
        and max(v["reflected_k"], v["air_k"], v["window_k"]) < 2000
        and 0 <= v["distance_m"] < 100_000
    )
    if not plausible:
        return None
    reflected, air, window = (
        black_body.signal(v[name] + KELVIN_0) for name in ("reflected_k", "air_k", "window_k")
    )
    # Half of the air lies before the window and half behind it; see `PlanckScale` for the source.
    through = _transmission(v)
    if not 0 < through <= 1:
        return None
    own, glass = v["emissivity"], v["window_transmission"]
    share = own * through * glass * through
    return replace(
        black_body,
        slope=1 / share,
        shift=(1 - own) / own * reflected
        + (1 - through) / (own * through) * air
        + (1 - glass) / (own * through * glass) * window
        + (1 - through) / share * air,
    )


def _transmission(v: dict[str, float]) -> float:
    """Of half of the air between object and camera."""
    humidity = v["humidity"] / 100 if v["humidity"] > 2 else v["humidity"]
    air = v["air_k"] + KELVIN_0
    polynomial = 1.5587 + 0.06939 * air - 0.00027816 * air**2 + 0.00000068455 * air**3
    water = humidity * math.exp(min(polynomial, 50))
    root, damp = math.sqrt(v["distance_m"] / 2), math.sqrt(max(water, 0))
    first, second = (
        math.exp(max(-50.0, min(50.0, -root * (v[f"alpha{n}"] + v[f"beta{n}"] * damp))))
        for n in (1, 2)
    )
    return v["x"] * first + (1 - v["x"]) * second

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.colour import RGB_TO_YCBCR, YCBCR_TO_RGB
from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, Picture
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.steady import LUMA_KEEP, Blender

SPEC = ThermalNormalization()
H, W = 96, 128
BASE = np.tile(np.linspace(30, 220, W), (H, 1))


def frame(number: int, pixels: np.ndarray | None = None, dtype: type = np.uint8) -> Frame:
    rng = np.random.default_rng(number)
    values = (BASE if pixels is None else pixels) + rng.normal(0, 1.0, (H, W))
    gain, offset = (8, 6000) if dtype == np.uint16 else (1, 0)
    counts = (values.clip(0, 255) * gain + offset).astype(dtype)
    return Frame(counts, number, round(number / 30 * 1e9))


def picture(luma: np.ndarray | int, chroma: int = 128, width: int = W) -> Picture:
    data = np.full((H * 3 // 2, width), chroma, np.uint8)
    data[:H] = luma
    return Picture("yuv420p", data, width, H)


def luma(shown: Picture) -> np.ndarray:
    return shown.data[:H].astype(float)


def chroma(shown: Picture) -> np.ndarray:
    return shown.data[H:].astype(float)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_still_scene_stops_flickering_and_colour_most(dtype: type) -> None:
    blender = Blender(1.0, SPEC)
    rng = np.random.default_rng(0)
    shown = []
    for number in range(60):
        noisy = picture((120 + rng.normal(0, 6, (H, W))).clip(0, 255).astype(np.uint8))
        noisy.data[H:] = (128 + rng.normal(0, 6, noisy.data[H:].shape)).clip(0, 255)
        shown.append(blender.blend(frame(number, dtype=dtype), noisy))
    steps = [(np.abs(luma(b) - luma(a)).mean(), np.abs(chroma(b) - chroma(a)).mean())
             for a, b in zip(shown[30:], shown[31:], strict=False)]  # noqa: RUF007  # fmt: skip
    of_luma, of_chroma = np.mean(steps, axis=0)
    unblended = 6 * 2 / np.sqrt(np.pi)
    assert of_luma < 0.3 * unblended and of_chroma < 0.15 * unblended
    assert abs(luma(shown[-1]).mean() - 120) < 1


def test_slow_change_arrives_in_full() -> None:
    """With an 8-bit state the last counts would be lost to rounding."""
    blender = Blender(1.0, SPEC)
    for number in range(10):
        blender.blend(frame(number), picture(100))
    for number in range(10, 80):
        shown = blender.blend(frame(number), picture(103, chroma=131))
    assert (luma(shown) == 103).all() and (chroma(shown) == 131).all()


def test_what_moves_leaves_no_trail() -> None:
    blender = Blender(1.0, SPEC)
    worst = 0.0
    for number in range(40):
        thermal, colours = BASE.copy(), np.full((H, W), 90, np.uint8)
        left = 4 + 2 * number
        thermal[30:60, left : left + 20] = 0
        colours[30:60, left : left + 20] = 200
        shown = luma(blender.blend(frame(number, thermal), picture(colours)))
        if number > 2:
            worst = max(worst, np.abs(shown - colours).mean())
            assert np.abs(shown[30:60, : max(left - 2, 1)] - 90).max() < 12
    assert worst < 1.5


def test_rgb_is_blended_as_its_luma_and_chroma() -> None:
    """The same pictures in both forms; uniform ones, so that halved chroma loses nothing."""
    planar, packed = Blender(0.75, SPEC), Blender(0.75, SPEC)
    rng = np.random.default_rng(5)
    offset = np.array([16, 128, 128])
    for number in range(12):
        thermal = BASE.copy()
        thermal[30:60, 4 + 5 * number :][:, :20] = 0
        ycbcr = np.rint(RGB_TO_YCBCR @ rng.uniform(0.3, 0.7, 3)) + offset
        rgb = np.rint(YCBCR_TO_RGB @ (ycbcr - offset)).clip(0, 255).astype(np.uint8)
        as_planes = picture(int(ycbcr[0]))
        as_planes.data[H : H * 5 // 4], as_planes.data[H * 5 // 4 :] = ycbcr[1], ycbcr[2]
        as_rgb = Picture("rgb24", np.broadcast_to(rgb, (H, W, 3)).copy(), W, H)
        planes = planar.blend(frame(number, thermal), as_planes).data
        chroma = planes[H:].reshape(2, H // 2, W // 2).repeat(2, axis=1).repeat(2, axis=2)
        expected = (np.stack([planes[:H], *chroma], axis=-1) - offset) @ YCBCR_TO_RGB.T
        error = np.abs(packed.blend(frame(number, thermal), as_rgb).data - expected)
        assert error.mean() < 1.5 and np.quantile(error, 0.99) < 6


def test_an_odd_rgb_picture_and_the_colour_half_alone() -> None:
    blender = Blender(1.0, SPEC, "side-by-side")
    for number in range(8):
        data = np.full((H - 1, 2 * W, 3), 90 + 40 * (number % 2), np.uint8)
        shown = blender.blend(frame(number), Picture("rgb24", data, 2 * W, H - 1)).data
    assert (shown[:, :W] == data[:, :W]).all() and (shown[:, W:] < 115).all()


def test_restarts(caplog: pytest.LogCaptureFixture) -> None:
    """After a cut, a gap, time running back, another size: the new picture as it is."""
    first = frame(0)
    later = frame(1)
    cases = [
        (Frame(255 - later.pixels, 1, later.timestamp_ns), picture(200)),
        (Frame(later.pixels, 1, later.timestamp_ns + 10**9), picture(200)),
        (Frame(later.pixels, 1, first.timestamp_ns - 10**9), picture(200)),
        (Frame(later.pixels[:48], 1, later.timestamp_ns), picture(200)),
        (later, picture(200, width=W - 2)),
    ]
    for second, shown in cases:
        blender = Blender(1.0, SPEC)
        blender.blend(first, picture(100))
        assert blender.blend(second, shown) is shown
    assert not caplog.records


def test_strength_is_one_knob() -> None:
    results = []
    for strength in (0.0, 0.3, 0.6, 1.0):
        blender = Blender(strength, SPEC)
        blender.blend(frame(0), picture(100))
        results.append(luma(blender.blend(frame(1), picture(200))).mean())
    assert results[0] == 200 and results == sorted(results, reverse=True)
    assert results[-1] == pytest.approx(100 + 100 * (1 - LUMA_KEEP), abs=1)
    with pytest.raises(ConfigError, match="within 0-1"):
        Blender(1.2, SPEC)


def test_pictures_handed_out_are_never_written_to() -> None:
    blender = Blender(1.0, SPEC)
    given = [picture(100 + number) for number in range(6)]
    kept = []
    for number, one in enumerate(given):
        result = blender.blend(frame(number), one)
        kept.append((result.data, result.data.copy()))
    assert all((now == then).all() for now, then in kept)
    assert all((luma(one) == 100 + number).all() for number, one in enumerate(given))


def test_the_thermal_half_is_left_as_it_is() -> None:
    blender = Blender(1.0, SPEC, "side-by-side")
    for number in range(5):
        both = picture(100, width=2 * W)
        both.data[:H, :W] = 20 * number
        both.data[:H, W:] = 100 + 20 * number
        shown = luma(blender.blend(frame(number), both))
    assert (shown[:, :W] == 80).all()
    assert 100 < shown[:, W:].mean() < 150


def test_a_colour_picture_wider_than_its_frame_is_blended_as_a_whole() -> None:
    blender = Blender(1.0, SPEC)
    for number in range(2):
        shown = luma(blender.blend(frame(number), picture(100 + 100 * number, width=2 * W)))
    assert shown.max() < 150

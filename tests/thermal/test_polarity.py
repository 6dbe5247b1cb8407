"""Black-hot is turned where it is asked for or plain to see, and never on doubt."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.thermal.polarity import PolaritySwitch, guess_polarity, invert
from ladle_rt.thermal.scene_reader import ReadOptions

STILLS = (
    "roadscene/ir", "metu-vistir/ir", "msrs/ir", "m3fd/ir", "hit-uav-thermal-only",
    "msrs-thermal-only", "kaist-mini/set00/V000/lwir", "more-pairs/irsurvey-palette/ir",
    "more-pairs/m3fd-extra/ir", "more-pairs/m3svd/ir", "more-pairs/starain/ir",
    "more-pairs/vifb/ir", "more-pairs/wisard/ir", "still16",
)  # fmt: skip
CLIPS = ("thermal-video/*.mp4", "video8/*.mp4", "video16/*.mkv", "video-pairs/*_infrared.mp4")


def street(seed: int = 0) -> np.ndarray:
    """White-hot: a cold clear sky over a warm street with a few hot things; uint16."""
    rng = np.random.default_rng(seed)
    picture = np.full((240, 320), 21_600.0)
    picture[90:] = 22_300 + np.linspace(0, 150, 150)[:, None]
    picture[90:] += cv2.GaussianBlur(rng.normal(0, 400, (150, 320)), (0, 0), 2)
    picture[120:150, 60:70] = 22_900
    return picture.astype(np.uint16)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_open_sky_tells(dtype: type) -> None:
    pixels = street()
    if dtype is np.uint8:
        pixels = ((pixels - 21_500) / 6).clip(0, 255).astype(np.uint8)
    white, black = guess_polarity(pixels), guess_polarity(invert(pixels))
    assert (white.polarity, white.sure) == ("white-hot", True)
    assert (black.polarity, black.sure) == ("black-hot", True) and "sky" in black.seen


def test_doubt_turns_nothing(caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (120, 160), dtype=np.uint8)
    flat = np.full((120, 160), 7, np.uint8)
    with caplog.at_level(logging.INFO, "ladle_rt.input"):
        for pixels in (noise, flat):
            assert PolaritySwitch("auto", "in.mkv").apply(pixels) is pixels
    assert caplog.text.count("in.mkv: taken as white-hot (not sure, so nothing is inverted)") == 2


def test_the_first_picture_decides_for_all() -> None:
    switch = PolaritySwitch("auto", "x")
    assert np.array_equal(switch.apply(invert(street())), street())
    later = np.random.default_rng(1).integers(0, 99, (9, 9), dtype=np.uint8)
    assert np.array_equal(switch.apply(later), 255 - later)


def test_what_is_asked_for_is_done_without_looking() -> None:
    assert np.array_equal(PolaritySwitch("black-hot", "x").apply(street()), 65_535 - street())
    assert PolaritySwitch("white-hot", "x").apply(street()) is not None
    with pytest.raises(ConfigError, match="polarity must be one of white-hot, black-hot, auto"):
        ReadOptions(polarity="hot")  # type: ignore[arg-type]


def test_no_white_hot_picture_at_hand_is_turned(shared_data: Path) -> None:
    """Every fifth, for time; the module's figures are of all of them."""
    looked = found = 0
    for folder in STILLS:
        for path in sorted((shared_data / folder).iterdir())[::5]:
            pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
            if pixels is None:
                continue
            assert guess_polarity(pixels).polarity == "white-hot", path
            looked += 1
            found += guess_polarity(invert(pixels)).polarity == "black-hot"
    assert looked > 150 and found / looked > 0.15


def test_no_white_hot_clip_at_hand_is_turned(shared_data: Path) -> None:
    for pattern in CLIPS:
        for path in sorted(shared_data.glob(pattern)):
            with av.open(str(path)) as clip:
                for number, frame in enumerate(clip.decode(video=0)):
                    if number % 100 == 0:
                        kind = "gray16le" if "16" in frame.format.name else "gray"
                        pixels = frame.to_ndarray(format=kind)
                        assert guess_polarity(pixels).polarity == "white-hot", (path, number)

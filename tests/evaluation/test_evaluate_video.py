"""Temporal figures on real, tiny video files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.errors import DatasetError, FalseColourError, InputError, InputNotFoundError
from ladle_rt.evaluation.eval_model import EvalModel
from ladle_rt.evaluation.evaluate_video import evaluate_video
from ladle_rt.evaluation.video_pairs import VideoPair, find_video_pairs
from ladle_rt.thermal.normalization import ThermalNormalization

Bytes = npt.NDArray[np.uint8]
GREY = EvalModel("grey", lambda thermal: np.repeat(thermal, 3, axis=1), ThermalNormalization())


def write(path: Path, frames: Sequence[Bytes], ticks: Sequence[int] | None = None) -> Path:
    """Lossless video, grey or RGB, at 25 ticks a second."""
    grey = frames[0].ndim == 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "gray" if grey else "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        for pixels, tick in zip(frames, ticks or range(len(frames)), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, "gray" if grey else "rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def scene(gain: float = 1.0) -> Bytes:
    coarse = np.random.default_rng(0).random((6, 8), dtype=np.float32)
    picture = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
    return (np.clip(picture, 0, 1) * 200 * gain + 20).astype(np.uint8)


def coloured(picture: Bytes) -> Bytes:
    return np.stack([picture, picture // 2, 255 - picture], axis=2)


def test_pairs_are_found_by_name(tmp_path: Path) -> None:
    for name in ("a_infrared.mp4", "a_visible.mkv", "b_thermal.mp4", "b_rgb.mp4", "c_visible.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "c_infrared.txt").touch()
    found = find_video_pairs(tmp_path)
    assert [(pair.name, pair.thermal.name, pair.visible.name) for pair in found] == [
        ("a", "a_infrared.mp4", "a_visible.mkv"),
        ("b", "b_thermal.mp4", "b_rgb.mp4"),
    ]
    assert find_video_pairs(tmp_path / "none") == []


def test_smoothed_levels_are_steadier_than_those_of_each_frame(tmp_path: Path) -> None:
    """A hot spot comes and goes: each frame's own levels make the whole picture pump."""
    thermal = []
    for number in range(8):
        picture = scene(0.5)
        picture[40:56, 56:72] = 250 if number % 2 else 60
        thermal.append(picture)
    pair = VideoPair(
        write(tmp_path / "t.mkv", thermal),
        write(tmp_path / "v.mkv", [coloured(scene())] * 8),
        "pumping",
    )
    report = evaluate_video([GREY], pair)
    assert (report.frames, report.unmatched, report.failure) == (8, 0, None)
    assert list(report.rows) == [
        ("grey", "smoothed"),
        ("grey", "each frame"),
        ("grey copy", "smoothed"),
        ("grey copy", "each frame"),
        ("truth", ""),
    ]
    for kind in ("smoothed", "each frame"):
        assert report.rows["grey", kind] == report.rows["grey copy", kind]
    smoothed, apart = report.rows["grey", "smoothed"], report.rows["grey", "each frame"]
    assert 0 < 4 * smoothed.flicker < apart.flicker and smoothed.warping_l1 < apart.warping_l1
    truth = report.rows["truth", ""]
    assert truth.flicker == 0 and truth.psnr_db == np.inf
    assert truth.ssim == pytest.approx(1, abs=1e-5)
    assert 0.5 < report.static_share < 0.98 and report.seen_share > 0.8
    assert report.to_dict()["rows"][1]["levels"] == "each frame"


def test_frames_belong_together_by_time(tmp_path: Path) -> None:
    """The visible video lacks a frame and starts later; brightness tells the frames apart."""
    thermal = [scene()] * 6
    bright = [np.full((96, 128, 3), 40 * number, np.uint8) for number in range(6)]
    pair = VideoPair(
        write(tmp_path / "t.mkv", thermal),
        write(tmp_path / "v.mkv", bright[:2] + bright[3:], [10, 11, 13, 14, 15]),
        "gap",
    )
    report = evaluate_video([GREY], pair)
    assert (report.frames, report.unmatched) == (5, 1)
    # Across the gap two steps of 40 would count: only neighbours are compared.
    assert report.rows["truth", ""].flicker == pytest.approx(40, abs=0.01)
    assert evaluate_video([GREY], pair, limit=2).frames == 2


def test_levels_that_change_are_not_motion(tmp_path: Path) -> None:
    pair = VideoPair(
        write(tmp_path / "t.mkv", [scene()] * 4),
        write(tmp_path / "v.mkv", [coloured(scene())] * 4),
        "still",
    )
    report = evaluate_video([GREY], pair)
    assert report.static_share == 1 and report.rows["grey", "smoothed"].flicker == 0


def test_what_is_not_a_pair(tmp_path: Path) -> None:
    thermal = write(tmp_path / "t.mkv", [scene()] * 3)
    visible = write(tmp_path / "v.mkv", [coloured(scene())] * 3)
    wide = write(tmp_path / "w.mkv", [np.zeros((96, 192, 3), np.uint8)] * 3)
    with pytest.raises(DatasetError, match=r"field of view of t\.mkv \(128x96\), received 192x96"):
        evaluate_video([GREY], VideoPair(thermal, wide, ""))
    single = write(tmp_path / "s.mkv", [coloured(scene())])
    with pytest.raises(DatasetError, match="received 1 frames at equal times"):
        evaluate_video([GREY], VideoPair(thermal, single, ""))
    with pytest.raises(FalseColourError):
        evaluate_video([GREY], VideoPair(visible, thermal, ""))
    with pytest.raises(InputNotFoundError):
        evaluate_video([GREY], VideoPair(thermal, tmp_path / "none.mkv", ""))
    (tmp_path / "x.mkv").write_text("no video")
    with pytest.raises(InputError, match="not a video"):
        evaluate_video([GREY], VideoPair(thermal, tmp_path / "x.mkv", ""))


def test_a_real_pair(shared_data: Path) -> None:
    pairs = find_video_pairs(shared_data / "video-pairs")
    assert [pair.name for pair in pairs] == ["0111_1716", "1230_1202"]
    report = evaluate_video([GREY], pairs[1], limit=5)
    assert (report.frames, report.unmatched) == (5, 0)
    assert report.static_share > 0.8 and report.seen_share > 0.9
    assert 0 < report.rows["truth", ""].flicker < 2

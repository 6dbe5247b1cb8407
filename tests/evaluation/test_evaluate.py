"""Evaluation of a model beside the baselines, and of data that is partly unreadable."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.datasets import find_pairs, read_visible
from ladle_rt.errors import ConfigError, DatasetError, ModelError
from ladle_rt.evaluation import evaluate as module
from ladle_rt.evaluation.evaluate import SIZE, Report, evaluate
from ladle_rt.evaluation.present import contact_sheet, table
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

SPEC = ThermalNormalization()
Array = npt.NDArray[np.float32]


def grey_of(thermal: Array) -> Array:
    return np.repeat(thermal, 3, axis=1)


def evaluate_grey(folder: Path) -> Report:
    return evaluate("grey", grey_of, SPEC, find_pairs(folder))


def test_grey_network_scores_as_the_grey_baseline(pairs_folder: Path) -> None:
    report = evaluate_grey(pairs_folder)
    assert report.rows == ["grey", "mean colour", "grey copy", "inverted grey"]
    assert report.lights() == ["day", "night", "all"]
    assert [report.count(light) for light in report.lights()] == [2, 1, 3]
    for light in report.lights():
        assert report.mean("grey", light) == report.mean("grey copy", light)
    assert report.mean("mean colour").psnr_db > report.mean("inverted grey").psnr_db
    assert report.mean_colour_from == "the evaluated pairs themselves"


def test_network_gets_the_normalised_frame_at_comparison_size(tmp_path: Path) -> None:
    """16 bits: resized as counts, then stretched by the model's own percentiles."""
    for name in ("ir", "vi"):
        (tmp_path / name).mkdir()
    counts = np.random.default_rng(0).integers(2000, 4200, (384, 512), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "ir/a.png"), counts)
    cv2.imwrite(str(tmp_path / "vi/a.png"), np.zeros((384, 512, 3), np.uint8))
    spec = ThermalNormalization(low_percentile=10, high_percentile=90)
    seen: list[Array] = []

    def predict(thermal: Array) -> Array:
        seen.append(thermal)
        return grey_of(thermal)

    report = evaluate("grey", predict, spec, find_pairs(tmp_path))
    small = counts.reshape(192, 2, 256, 2).mean(axis=(1, 3))
    expected = normalize(np.rint(small).astype(np.uint16), spec)
    assert seen[0].shape == (1, 1, *SIZE) and seen[0].dtype == np.float32
    # Halves may be rounded up or to even: one count of about 1000.
    assert np.abs(seen[0][0, 0] - expected).max() < 3e-3
    assert report.lights() == ["all"]
    values = report.to_dict()["means"]["all"]
    assert values["mean colour"]["psnr_db"] is None, "black is its own mean colour"
    json.dumps(report.to_dict(), allow_nan=False)


def test_outputs_are_clipped_but_not_beyond_infinity(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)[:1]

    def shifted(thermal: Array) -> Array:
        return grey_of(thermal) * 3 - 1

    def clipped(thermal: Array) -> Array:
        return np.clip(shifted(thermal), 0, 1)

    beyond, within = (evaluate("m", run, SPEC, pairs).mean("m") for run in (shifted, clipped))
    assert beyond == within
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ModelError, match="m: the output for 00000D is not finite"):
            evaluate("m", lambda x, v=value: grey_of(np.full_like(x, v)), SPEC, pairs)


def test_mean_colour_is_that_of_the_pairs_trained_on(
    pairs_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    *trained, held_out = find_pairs(pairs_folder)
    report = evaluate("grey", grey_of, SPEC, [held_out], trained)
    colour = np.mean([read_visible(pair.visible) / 255 for pair in trained], axis=(0, 1, 2))
    error = np.abs(read_visible(held_out.visible) / 255 - colour).mean()
    assert report.mean("mean colour").l1 == pytest.approx(error, abs=1e-5)
    assert report.mean_colour_from == "2 training pairs"
    monkeypatch.setattr(module, "MEAN_COLOUR_PAIRS", 1)
    report = evaluate("grey", grey_of, SPEC, [held_out], trained)
    assert report.mean_colour_from == "1 training pairs"
    monkeypatch.undo()
    trained[0].visible.write_text("no image")
    report = evaluate("grey", grey_of, SPEC, [held_out], trained)
    assert report.mean_colour_from == "1 training pairs" and not report.failures
    assert "00000D.png" in caplog.text and "left out of the mean colour" in caplog.text


def test_report_as_json(pairs_folder: Path) -> None:
    report = evaluate_grey(pairs_folder)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["size"] == [192, 256] and values["failures"] == []
    assert set(values["images"]) == {"00000D", "00001D", "00002N"}
    assert values["means"]["night"]["images"] == 1
    night = values["means"]["night"]["grey"]
    assert night == values["images"]["00002N"]
    assert night["chroma_ratio"] == pytest.approx(0, abs=1e-3) and night["chroma_truth"] > 1
    day = [values["images"][name]["ssim"] for name in ("00000D", "00001D")]
    assert values["means"]["day"]["grey"]["ssim"] == pytest.approx(np.mean(day), rel=1e-4)


def test_table_has_a_row_for_each_light_and_baseline(pairs_folder: Path) -> None:
    shown = table(evaluate_grey(pairs_folder))
    columns = {str(column.header): list(column.cells) for column in shown.columns}
    assert [light for light in columns["light"] if light] == ["day", "night", "all"]
    assert [count for count in columns["n"] if count] == ["2", "1", "3"]
    assert columns["image"] == ["grey", "mean colour", "grey copy", "inverted grey"] * 3
    assert columns["chroma ratio"][0] == "0.00" and len(columns["CIEDE2000"]) == 12


def test_sheet_shows_thermal_output_truth_worst_first(pairs_folder: Path) -> None:
    height, width = SIZE
    red = np.float32([1, 0, 0]).reshape(1, 3, 1, 1)
    report = evaluate("red", lambda x: grey_of(x) * red, SPEC, find_pairs(pairs_folder))
    sheet = contact_sheet(report)
    assert sheet.dtype == np.uint8 and sheet.shape == (height + 16, 3 * 3 * width, 3)
    ranked = sorted(report.examples, key=lambda example: example.scores["red"].ssim)
    for number, example in enumerate(ranked):
        tile = sheet[:, 3 * width * number : 3 * width * (number + 1)]
        caption, thermal, output, truth = tile[:16], *np.hsplit(tile[16:], 3)
        assert caption.max() == 255
        assert np.array_equal(output[..., 0], thermal[..., 0]) and not output[..., 1:].any()
        written = read_visible(pairs_folder / f"vi/{example.name}.png")
        assert np.array_equal(truth, written), "red stays red"
    blind = evaluate("grey", grey_of, SPEC, find_pairs(pairs_folder)[:1], keep_strips=False)
    with pytest.raises(ConfigError, match="keep_strips"):
        contact_sheet(blind)


def test_unreadable_pairs_are_left_out(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    pairs[0].visible.write_text("no image")
    pairs[1].thermal.unlink()
    report = evaluate("grey", grey_of, SPEC, pairs)
    assert [example.name for example in report.examples] == ["00002N"]
    assert "00000D.png" in report.failures[0] and "does not decode" in report.failures[0]
    assert "00001D.png" in report.failures[1] and "no such image" in report.failures[1]
    pairs[2].visible.write_text("no image")
    with pytest.raises(DatasetError, match=r"none of 3 pairs could be read: .*00000D.png"):
        evaluate("grey", grey_of, SPEC, pairs)
    with pytest.raises(DatasetError, match="the set is empty"):
        evaluate("grey", grey_of, SPEC, [])


def test_different_aspect_ratios_are_told_once(
    pairs_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ladle_rt")
    pairs = find_pairs(pairs_folder)[:2]
    # 1 % wider is drift of a crop; 25 % wider is another field of view.
    cv2.imwrite(str(pairs[0].thermal), np.zeros((190, 256), np.uint8))
    evaluate("grey", grey_of, SPEC, pairs)
    assert not caplog.records
    for pair in pairs:
        cv2.imwrite(str(pair.thermal), np.zeros((192, 320), np.uint8))
    evaluate("grey", grey_of, SPEC, pairs)
    assert [record.message.split(":")[0] for record in caplog.records] == ["00000D"]
    assert "aspect ratio" in caplog.text


def test_mean_colour_on_block_e_is_the_figure_of_record(shared_data: Path) -> None:
    pairs = find_pairs(shared_data / "roadscene")
    held_out = [pair for pair in pairs if pair.split == "val"]
    trained = [pair for pair in pairs if pair.split == "train"]
    report = evaluate("grey", grey_of, SPEC, held_out, trained, keep_strips=False)
    assert report.mean_colour_from == "146 training pairs"
    assert [report.lights(), report.count("all")] == [["all"], 24]
    scores = report.mean("mean colour")
    assert scores.ssim == pytest.approx(0.543, abs=1e-3)
    assert scores.ms_ssim == pytest.approx(0.294, abs=1e-3)
    assert scores.psnr_db == pytest.approx(13.9, abs=0.05)

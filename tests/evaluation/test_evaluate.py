"""Evaluation of a model beside the baselines, and of data that is partly unreadable."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from rich.table import Table

from ladle_rt.datasets import find_pairs, read_visible
from ladle_rt.errors import ConfigError, DatasetError, ModelError
from ladle_rt.evaluation import pair_images
from ladle_rt.evaluation.bootstrap import METRICS
from ladle_rt.evaluation.eval_model import SIZE, EvalModel, Predict
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.result import EvaluationResult
from ladle_rt.evaluation.tables import RECORD, difference_table, tables
from ladle_rt.thermal.normalization import ThermalNormalization, normalize

SPEC = ThermalNormalization()
Array = npt.NDArray[np.float32]


def grey_of(thermal: Array) -> Array:
    return np.repeat(thermal, 3, axis=1)


def one(predict: Predict = grey_of, name: str = "grey", spec: Any = SPEC) -> list[EvalModel]:
    return [EvalModel(name, predict, spec)]


@pytest.fixture(scope="module")
def grey_report(kept_pairs: Path) -> EvaluationResult:
    """Of one grey network."""
    return evaluate(one(), find_pairs(kept_pairs))


def table(evaluation: EvaluationResult) -> Table:
    """The table of record."""
    return next(tables(evaluation))


def test_grey_network_scores_as_the_grey_baseline(grey_report: EvaluationResult) -> None:
    report = grey_report
    assert report.raw.rows == ["grey", "mean colour", "grey copy", "inverted grey"]
    assert report.raw.lights() == ["day", "night", "all"]
    assert [report.raw.count(light) for light in report.raw.lights()] == [2, 1, 3]
    for light in report.raw.lights():
        assert report.raw.mean("grey", light) == report.raw.mean("grey copy", light)
    assert report.raw.mean("mean colour").psnr_db > report.raw.mean("inverted grey").psnr_db
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

    report = evaluate(one(predict, spec=spec), find_pairs(tmp_path))
    small = counts.reshape(192, 2, 256, 2).mean(axis=(1, 3))
    expected = normalize(np.rint(small).astype(np.uint16), spec)
    assert seen[0].shape == (1, 1, *SIZE) and seen[0].dtype == np.float32
    # Halves may be rounded up or to even: one count of about 1000.
    assert np.abs(seen[0][0, 0] - expected).max() < 3e-3
    assert report.raw.lights() == ["all"]
    values = report.to_dict()["means"]["all"]
    assert values["mean colour"]["psnr_db"] is None, "black is its own mean colour"
    json.dumps(report.to_dict(), allow_nan=False)


def test_outputs_are_clipped_but_not_beyond_infinity(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)[:1]

    def shifted(thermal: Array) -> Array:
        return grey_of(thermal) * 3 - 1

    def clipped(thermal: Array) -> Array:
        return np.clip(shifted(thermal), 0, 1)

    beyond, within = (evaluate(one(run, "m"), pairs).raw.mean("m") for run in (shifted, clipped))
    assert beyond == within
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ModelError, match="m: the output for 00000D is not finite"):
            evaluate(one(lambda x, v=value: grey_of(np.full_like(x, v)), "m"), pairs)


def test_mean_colour_is_that_of_the_pairs_trained_on(
    pairs_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    *trained, held_out = find_pairs(pairs_folder)
    report = evaluate(one(), [held_out], trained)
    colour = np.mean([read_visible(pair.visible) / 255 for pair in trained], axis=(0, 1, 2))
    error = np.abs(read_visible(held_out.visible) / 255 - colour).mean()
    assert report.raw.mean("mean colour").l1 == pytest.approx(error, abs=1e-5)
    assert report.mean_colour_from == "2 training pairs"
    monkeypatch.setattr(pair_images, "MEAN_COLOUR_PAIRS", 1)
    report = evaluate(one(), [held_out], trained)
    assert report.mean_colour_from == "1 training pairs"
    monkeypatch.undo()
    trained[0].visible.write_text("no image")
    report = evaluate(one(), [held_out], trained)
    assert report.mean_colour_from == "1 training pairs" and not report.failures
    assert "00000D.png" in caplog.text and "left out of the mean colour" in caplog.text


def test_report_as_json(grey_report: EvaluationResult) -> None:
    report = grey_report
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["size"] == [192, 256] and values["failures"] == []
    assert set(values["images"]) == {"00000D", "00001D", "00002N"}
    assert values["means"]["night"]["images"] == 1
    night = values["means"]["night"]["grey"]
    assert night == values["images"]["00002N"]
    assert night["chroma_ratio"] == pytest.approx(0, abs=1e-3) and night["chroma_truth"] > 1
    day = [values["images"][name]["ssim"] for name in ("00000D", "00001D")]
    assert values["means"]["day"]["grey"]["ssim"] == pytest.approx(np.mean(day), rel=1e-4)


def test_table_has_a_row_for_each_light_and_baseline(grey_report: EvaluationResult) -> None:
    shown = table(grey_report)
    columns = {str(column.header): list(column.cells) for column in shown.columns}
    assert [light for light in columns["light"] if light] == ["day", "night", "all"]
    assert [count for count in columns["n"] if count] == ["2", "1", "3"]
    assert columns["image"] == ["grey", "mean colour", "grey copy", "inverted grey"] * 3
    assert columns["chroma ratio"][0].startswith("0.00\n") and columns["L1"][4].count("\n") == 0
    assert len(columns["CIEDE2000"]) == 12


def test_models_stand_side_by_side_each_with_its_own_normalisation(pairs_folder: Path) -> None:
    spec = ThermalNormalization(low_percentile=10, high_percentile=90)
    seen: dict[str, list[Array]] = {"a": [], "b": []}

    def watching(name: str) -> Predict:
        def predict(thermal: Array) -> Array:
            seen[name].append(thermal)
            return grey_of(thermal)

        return predict

    models = [*one(watching("a"), "a"), *one(watching("b"), "b", spec)]
    report = evaluate(models, find_pairs(pairs_folder))
    assert report.raw.rows == ["a", "b", "mean colour", "grey copy", "inverted grey"]
    pixels = [cv2.imread(str(pair.thermal), -1) for pair in find_pairs(pairs_folder)]
    for name, used in (("a", SPEC), ("b", spec)):
        for frame, raw in zip(seen[name], pixels, strict=True):
            assert np.array_equal(frame[0, 0], normalize(raw, used))
    assert report.raw.mean("grey copy") == report.raw.mean("a") != report.raw.mean("b")
    assert "grey copies: the input of a" in str(table(report).caption)
    alone = evaluate(models[1:], find_pairs(pairs_folder))
    assert alone.raw.mean("b") == report.raw.mean("b"), "what stands beside a model changes nothing"


def test_differences_to_the_first_model(pairs_folder: Path) -> None:
    red = np.float32([1, 0, 0]).reshape(1, 3, 1, 1)
    models = [*one(), *one(lambda x: grey_of(x) * red, "red"), *one(name="same")]
    report = evaluate(models, find_pairs(pairs_folder))
    values = report.to_dict()
    assert set(values["differences"]["all"]) == {"red", "same"}
    found = values["differences"]["night"]["red"]["psnr_db"]
    night = values["means"]["night"]
    assert found["mean"] == pytest.approx(night["red"]["psnr_db"] - night["grey"]["psnr_db"], 1e-3)
    assert found["interval"] is None, "one image"
    whole = values["differences"]["all"]["red"]["chroma"]
    assert whole["interval"][0] <= whole["mean"] <= whole["interval"][1]
    shown = difference_table(report.raw, RECORD)
    columns = {str(column.header): list(column.cells) for column in shown.columns}
    assert columns["image"] == ["red", "same"] * 3
    assert columns["chroma ratio"][4].split("\n")[0].endswith("*") and "+" in columns["L1"][4]
    assert columns["SSIM"][5] == "+0.000\n[dim]±0.000[/dim]"
    assert "difference to grey" in str(shown.caption)


def test_every_image_of_every_row_as_csv(grey_report: EvaluationResult) -> None:
    report = grey_report
    lines = list(csv.DictReader(report.to_csv().splitlines()))
    assert [line["model"] for line in lines[::3]] == report.raw.rows and len(lines) == 12
    night = lines[2]
    assert (night["name"], night["sequence"], night["light"]) == ("00002N", "pairs", "night")
    assert float(night["ssim"]) == pytest.approx(report.raw.mean("grey", "night").ssim, rel=1e-5)
    assert set(night) == {
        *("view", "model", "name", "sequence", "light"),
        *(metric for metric in METRICS if metric != "perceptual"),
    }


def test_intervals_say_what_they_rest_on(grey_report: EvaluationResult, kept_pairs: Path) -> None:
    report = grey_report
    interval = report.raw.interval("grey", "ssim")
    assert interval is not None and interval[0] < report.raw.mean("grey").ssim < interval[1]
    assert report.raw.interval("grey", "ssim", "night") is None
    values = report.to_dict()["intervals"]
    assert values["all"]["rows"]["grey"]["ssim"] == pytest.approx(interval, rel=1e-4)
    assert values["night"]["rows"]["grey"]["ssim"] is None
    caption = str(table(report).caption)
    assert "interval over images of 1 drive: optimistic, fewer than 5 drives" in caption
    pairs = [
        replace(pair, sequence=str(number))
        for number, pair in enumerate(find_pairs(kept_pairs) * 2)
    ]
    report = evaluate(one(), pairs)
    caption = str(table(report).caption)
    assert "interval over 6 drives (all)" in caption
    assert "images of 4 drives: optimistic, fewer than 5 drives (day)" in caption


@pytest.mark.parametrize("names", [[], ["a", "a"], ["grey copy"]])
def test_rows_need_names_of_their_own(pairs_folder: Path, names: list[str]) -> None:
    models = [EvalModel(name, grey_of, SPEC) for name in names]
    with pytest.raises(ConfigError, match="names of their own"):
        evaluate(models, find_pairs(pairs_folder))


def test_unreadable_pairs_are_left_out(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    pairs[0].visible.write_text("no image")
    pairs[1].thermal.unlink()
    report = evaluate(one(), pairs)
    assert [example.pair.name for example in report.raw.examples] == ["00002N"]
    assert "00000D.png" in report.failures[0] and "does not decode" in report.failures[0]
    assert "00001D.png" in report.failures[1] and "no such image" in report.failures[1]
    pairs[2].visible.write_text("no image")
    with pytest.raises(DatasetError, match=r"none of 3 pairs could be scored: .*00000D.png"):
        evaluate(one(), pairs)
    with pytest.raises(DatasetError, match="the set is empty"):
        evaluate(one(), [])


def test_black_thermal_images_and_other_views_are_not_scored(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    cv2.imwrite(str(pairs[0].thermal), np.zeros((192, 256), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (192, 384), dtype=np.uint8)
    cv2.imwrite(str(pairs[1].thermal), noise)
    report = evaluate(one(), pairs)
    assert [example.pair.name for example in report.raw.examples] == ["00002N"]
    assert len(report.failures) == 2
    assert all(pair.name in line for pair, line in zip(pairs, report.failures, strict=False))


def test_mean_colour_on_block_e_is_the_figure_of_record(shared_data: Path) -> None:
    pairs = find_pairs(shared_data / "roadscene")
    held_out = [pair for pair in pairs if pair.split == "val"]
    trained = [pair for pair in pairs if pair.split == "train"]
    report = evaluate(one(), held_out, trained)
    assert report.mean_colour_from == "146 training pairs"
    assert [report.raw.lights(), report.raw.count("all")] == [["all"], 24]
    scores = report.raw.mean("mean colour")
    assert scores.ssim == pytest.approx(0.543, abs=1e-3)
    assert scores.ms_ssim == pytest.approx(0.294, abs=1e-3)
    assert scores.psnr_db == pytest.approx(13.9, abs=0.05)

"""Models of a look: compared as painted, beside the raw truth, which changes nothing there."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.datasets import find_pairs, read_visible
from ladle_rt.datasets.look import to_look
from ladle_rt.errors import ConfigError
from ladle_rt.evaluation import evaluate as module
from ladle_rt.evaluation.comparison import (
    GRADED,
    PAINTED,
    RAW,
    Comparison,
    PerceptualScores,
    PooledFeatures,
)
from ladle_rt.evaluation.contact_sheet import CAPTION_HEIGHT, contact_sheet
from ladle_rt.evaluation.eval_model import EvalModel
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.tables import tables
from ladle_rt.thermal.normalization import ThermalNormalization

Array = npt.NDArray[np.float32]
SPEC = ThermalNormalization()


def fog(thermal: Array) -> Array:
    return np.repeat(0.2 * thermal + np.float32(0.5), 3, axis=1)


PLAIN = EvalModel("plain", fog, SPEC)
BRIGHT = EvalModel("bright", fog, SPEC, "daylight")


@pytest.fixture
def hazy(pairs_folder: Path) -> Path:
    """The pairs with a hazy truth of twice the comparison size."""
    for path in (pairs_folder / "vi").iterdir():
        picture = cv2.resize(cv2.imread(str(path)), (512, 384)) // 4 + 120
        cv2.imwrite(str(path), picture)
    for path in (pairs_folder / "ir").iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), 0), (512, 384)))
    return pairs_folder


def flat_metric(views: Mapping[str, Comparison]) -> dict[str, PerceptualScores]:
    """Perceptual distance 0.25 for all; the features are the mean colour, thrice."""
    result = {}
    for name, view in views.items():
        pooled = {row: image.mean(axis=(0, 1)) for row, image in view.outputs.items()}
        result[name] = PerceptualScores(
            dict.fromkeys(pooled, 0.25), PooledFeatures(pooled, view.truth.mean(axis=(0, 1)))
        )
    return result


def test_auto_is_the_look_of_the_models(hazy: Path) -> None:
    pairs = find_pairs(hazy)
    alone = evaluate([PLAIN], pairs)
    assert (alone.look, list(alone.reports)) == ("none", [RAW]) and alone.chosen is alone.raw
    both = evaluate([PLAIN, BRIGHT], pairs)
    assert (both.look, list(both.reports)) == ("daylight", [RAW, PAINTED, GRADED])
    assert both.chosen is both.reports[PAINTED]
    assert evaluate([BRIGHT], pairs, look="none").look == "none"
    asked = evaluate([PLAIN], pairs, look="daylight")
    assert asked.raw.mean("plain") == alone.raw.mean("plain"), "record figures stay"
    assert asked.chosen.mean("plain") == both.chosen.mean("plain")


def test_the_truth_is_graded_before_it_is_made_smaller(hazy: Path) -> None:
    pair = find_pairs(hazy)[0]
    found = evaluate([BRIGHT], [pair])
    whole = to_look(read_visible(pair.visible), "daylight")
    small = cv2.resize(whole, (256, 192), interpolation=cv2.INTER_AREA) / 255
    flat = small.mean(axis=(0, 1))
    error = np.abs(found.chosen.mean("mean colour").l1 - np.abs(small - flat).mean())
    assert error < 0.01, "the mean colour is that of the truth in the look"
    assert found.chosen.mean("bright").black_point_truth < 10 < 40
    assert found.raw.mean("bright").black_point_truth > 40


def test_grading_the_output_flatters_fog(hazy: Path) -> None:
    found = evaluate([BRIGHT], find_pairs(hazy))
    painted, graded = (found.reports[view].mean("bright") for view in (PAINTED, GRADED))
    assert painted.contrast_ratio < 0.4 < 0.6 < graded.contrast_ratio
    assert painted.black_point > 40 > graded.black_point
    assert painted.contrast_truth == graded.contrast_truth


def test_every_view_is_written(hazy: Path) -> None:
    found = evaluate([BRIGHT], find_pairs(hazy), perceptual_metric=flat_metric)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["look"] == "daylight" and values["size"] == [192, 256]
    for part in (values, values[PAINTED], values[GRADED]):
        assert set(part["means"]["all"]) >= {"bright", "mean colour", "grey copy"}
        assert part["means"]["all"]["bright"]["perceptual"] == 0.25
        assert part["kid"]["all"]["bright"]["pictures"] == 3
        assert set(part["images"]) == {"00000D", "00001D", "00002N"}
    assert "bright" not in values["kid"]["night"], "one picture"
    lines = list(csv.DictReader(found.to_csv().splitlines()))
    assert [line["view"] for line in lines[::12]] == [RAW, PAINTED, GRADED]
    assert {line["perceptual"] for line in lines} == {"0.25"}


def test_features_are_kept_for_so_many_pairs(hazy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KERNEL_PAIRS", 2)
    found = evaluate([PLAIN], find_pairs(hazy), perceptual_metric=flat_metric)
    assert found.raw.kernel_distances["all"]["plain"].pictures == 2
    *_, natural = tables(found)
    assert "KID: over 2 pictures, evenly spaced" in str(natural.caption)


def test_tables_say_which_truth_and_what_flatters(hazy: Path) -> None:
    found = evaluate([BRIGHT], find_pairs(hazy), perceptual_metric=flat_metric)
    record, painted, graded = tables(found)
    assert record.title == "Against the raw truth"
    assert painted.title == "As painted, against the truth in the daylight look"
    assert str(graded.title).endswith("flatters fog")
    assert "KID is rough below 50 pictures" in str(painted.caption)
    columns = {str(column.header): list(column.cells) for column in painted.columns}
    assert columns["image"][:5] == ["bright", "mean colour", "grey copy", "inverted grey", "truth"]
    assert columns["black\nL*"][4] != "" and columns["SSIM"][4] == ""
    assert columns["KID"][-5] != "" and columns["perc.\ndist."][-5].startswith("0.250")


def test_without_features_or_a_look_two_tables_and_no_figure_twice(hazy: Path) -> None:
    record, natural = tables(evaluate([PLAIN], find_pairs(hazy)))
    headings = [str(column.header) for column in natural.columns]
    assert natural.title == "As painted, against the raw truth"
    assert "KID" not in headings and "SSIM" not in headings and "sharp-\nness" in headings
    assert "KID" not in str(natural.caption)
    assert "figures of record" not in str(record.caption)


def test_two_models_are_compared_in_both_truths(hazy: Path) -> None:
    found = list(tables(evaluate([PLAIN, BRIGHT], find_pairs(hazy), perceptual_metric=flat_metric)))
    assert len(found) == 5
    assert ["difference to plain" in str(one.caption) for one in found] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_another_size(hazy: Path) -> None:
    found = evaluate([BRIGHT], find_pairs(hazy), size=(384, 512), perceptual_metric=flat_metric)
    assert found.to_dict()["size"] == [384, 512]
    assert "at 384x512: no figures of record" in str(next(tables(found)).caption)
    sheet = contact_sheet(found, [BRIGHT])
    assert sheet.shape[0] == CAPTION_HEIGHT + CAPTION_HEIGHT + 384
    with pytest.raises(ConfigError, match="sides of at least 176"):
        evaluate([BRIGHT], find_pairs(hazy), size=(160, 256))


def test_the_sheet_ends_with_both_truths(hazy: Path) -> None:
    pair = find_pairs(hazy)[0]
    found = evaluate([BRIGHT], [pair])
    sheet = contact_sheet(found, [BRIGHT])[2 * CAPTION_HEIGHT :]
    assert len(sheet) == 192
    _, painted, look, raw = np.hsplit(sheet[:, : 4 * 256], 4)
    visible = read_visible(pair.visible)
    for shown, truth in ((look, to_look(visible, "daylight")), (raw, visible)):
        small = cv2.resize(truth, (256, 192), interpolation=cv2.INTER_AREA)
        assert np.array_equal(shown, small)
    assert painted.min() >= 127

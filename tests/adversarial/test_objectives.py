"""Every loss equals its slow twin, sample by sample, on values that all differ."""

import math

import pytest
import torch

from adversarial import objectives
from adversarial.errors import DataError
from tests.reference import adversarial_objectives as slow

LOGITS = [-3.5, -0.2, 0.0, 0.7, 2.9]


@pytest.mark.parametrize(
    "name",
    [
        "discriminator_on_real",
        "discriminator_on_generated",
        "generator_saturating",
        "generator_non_saturating",
        "critic_on_real",
        "critic_on_generated",
        "generator_wasserstein",
    ],
)
def test_each_loss_equals_its_slow_twin_sample_by_sample(name):
    got = getattr(objectives, name)(torch.tensor(LOGITS, dtype=torch.float64)).tolist()
    assert got == pytest.approx(getattr(slow, name)(LOGITS), rel=1e-12)
    assert len(set(got)) == len(got)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (objectives.discriminator_on_real, 500.0),
        (objectives.generator_non_saturating, 500.0),
        (objectives.discriminator_on_generated, 0.0),
        (objectives.generator_saturating, 0.0),
    ],
)
def test_losses_stay_finite_and_exact_where_the_sigmoid_has_rounded_to_zero(loss, expected):
    logits = torch.tensor([-500.0], requires_grad=True)
    value = loss(logits)
    value.sum().backward()
    assert value.item() == pytest.approx(expected, abs=1e-30)
    assert torch.isfinite(logits.grad).all()


def test_the_saturating_gradient_vanishes_where_the_non_saturating_one_does_not():
    slopes = {}
    for loss in (objectives.generator_saturating, objectives.generator_non_saturating):
        logits = torch.tensor([-20.0], requires_grad=True)
        loss(logits).sum().backward()
        slopes[loss.__name__] = abs(logits.grad.item())
    assert slopes["generator_saturating"] < 1e-8
    assert slopes["generator_non_saturating"] == pytest.approx(1.0)


def test_the_domain_gap_is_source_minus_target_and_allows_different_sizes():
    source, target = [1.0, 2.5, 4.0], [0.5, -1.5]
    got = objectives.domain_gap(torch.tensor(source), torch.tensor(target)).item()
    assert got == pytest.approx(slow.domain_gap(source, target))
    assert got == pytest.approx(3.0)


def test_classification_loss_equals_its_slow_twin_row_by_row():
    rows, labels = [[0.1, 2.0, -1.0], [3.0, 0.0, 0.5], [-0.7, -0.6, -0.5]], [1, 2, 0]
    got = objectives.classification_loss(torch.tensor(rows), torch.tensor(labels)).tolist()
    assert got == pytest.approx(slow.classification_loss(rows, labels), rel=1e-5)
    assert len(set(got)) == 3


def test_feature_loss_equals_its_slow_twin_row_by_row():
    points, targets = [[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], [[1.0, 1.0], [0.0, 0.0], [0.5, 3.0]]
    got = objectives.feature_loss(torch.tensor(points), torch.tensor(targets)).tolist()
    assert got == pytest.approx(slow.feature_loss(points, targets))


def test_interpolation_uses_one_epsilon_per_sample_and_epsilon_one_is_the_real_sample():
    real, generated = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[-1.0, 0.0], [0.0, -2.0], [9.0, 9.0]]
    epsilon = [0.25, 1.0, 0.0]
    got = objectives.interpolate(torch.tensor(real), torch.tensor(generated), torch.tensor(epsilon))
    assert got.tolist() == slow.interpolate(real, generated, epsilon)
    assert got[1].tolist() == real[1]
    assert got[2].tolist() == generated[2]


def test_interpolation_spreads_one_epsilon_over_all_axes_of_an_image():
    real, generated = torch.ones(4, 3, 2, 2), torch.zeros(4, 3, 2, 2)
    epsilon = torch.tensor([0.1, 0.2, 0.3, 0.4])
    mixed = objectives.interpolate(real, generated, epsilon)
    assert torch.equal(mixed.flatten(1), epsilon[:, None].expand(4, 12))


@pytest.mark.parametrize("bad", [torch.rand(3, 2), torch.rand(2), torch.rand(3, 1)])
def test_an_epsilon_that_is_not_one_per_sample_is_refused(bad):
    with pytest.raises(DataError, match="one epsilon per sample"):
        objectives.interpolate(torch.zeros(3, 2), torch.ones(3, 2), bad)


def test_wdgrl_looks_at_both_domains_and_between_them():
    source, target = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[2.0, 0.0], [5.0, 1.0]])
    points = objectives.wdgrl_points(source, target, torch.tensor([0.5, 0.25]))
    assert points.tolist() == [[0, 0], [1, 1], [2, 0], [5, 1], [1, 0], [4, 1]]


def test_slope_penalty_equals_its_slow_twin_on_both_sides_of_the_target():
    slopes = [0.0, 0.5, 1.0, 1.5, 4.0]
    for one_sided in (False, True):
        for target in (1.0, 0.7):
            got = objectives.slope_penalty(torch.tensor(slopes), one_sided=one_sided, target=target).tolist()
            assert got == pytest.approx(slow.slope_penalty(slopes, one_sided, target))


def test_euclidean_norm_of_a_zero_row_is_zero_with_a_zero_gradient():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    norms = objectives.euclidean_norm(rows)
    norms.sum().backward()
    assert norms.tolist() == [5.0, 0.0]
    assert rows.grad.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert math.isfinite(norms.sum().item())

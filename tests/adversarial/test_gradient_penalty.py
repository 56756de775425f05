"""Conformance of the gradient penalty, and proof that the suite rejects three norms often found instead.

Each check below takes a penalty function, so that the right one can be held to it and the wrong ones shown
to fail it. A wrong norm may pass some checks by accident; it has to fail the suite as a whole.
"""

import itertools
import math

import pytest
import torch
from torch import nn

from adversarial.errors import DataError
from adversarial.objectives import gradient_penalty, input_slopes
from adversarial.relu_slopes import forward_with_gradient, penalised_gradients
from tests.reference import adversarial_objectives as slow

SHAPES = [(), (3,), (2, 3), (3, 4, 4)]
BATCHES = [1, 2, 7]


def _input_gradient(critic, points):
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return gradient


def per_element_norm(critic, points, *, one_sided=False):
    """Counterexample: each input coordinate is treated as a slope of its own."""
    excess = _input_gradient(critic, points).abs() - 1
    return (excess.clamp(min=0) if one_sided else excess).square().reshape(len(points), -1).mean(1)


def norm_over_the_batch_axis(critic, points, *, one_sided=False):
    """Counterexample: `norm(dim=0)`, or the batch axis in a different place than the code believes."""
    excess = _input_gradient(critic, points).norm(2, dim=0) - 1
    value = (excess.clamp(min=0) if one_sided else excess).square().mean()
    return value.expand(len(points))


def norm_of_the_whole_batch(critic, points, *, one_sided=False):
    """Counterexample: `norm()` without axes: one number for all samples together."""
    excess = _input_gradient(critic, points).norm(2) - 1
    return (excess.clamp(min=0) if one_sided else excess).square().expand(len(points))


WRONG = [per_element_norm, norm_over_the_batch_axis, norm_of_the_whole_batch]


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _linear(shape, scale=1.0, seed=0):
    """f(x) = scale * a.x with ||a|| = 1, for one sample of any shape; returns (batch,)."""
    direction = torch.randn(shape, generator=_generator(seed), dtype=torch.float64)
    direction = direction / direction.norm()
    return lambda points: scale * (points * direction).reshape(len(points), -1).sum(1)


def _points(batch, shape, seed=1):
    return torch.randn((batch, *shape), generator=_generator(seed), dtype=torch.float64)


def check_unit_slope_costs_nothing(penalty):
    cases = list(itertools.product(BATCHES, SHAPES))
    assert len(cases) == 12
    for batch, shape in cases:
        for one_sided in (False, True):
            got = penalty(_linear(shape), _points(batch, shape), one_sided=one_sided)
            assert got.shape == (batch,), (batch, shape)
            assert got.detach().abs().max() < 1e-12, (batch, shape)


def check_scaled_slope_costs_the_squared_excess(penalty):
    for scale, shape, batch in itertools.product([0.25, 3.0], SHAPES, BATCHES):
        two = penalty(_linear(shape, scale), _points(batch, shape))
        one = penalty(_linear(shape, scale), _points(batch, shape), one_sided=True)
        assert two.tolist() == pytest.approx([(scale - 1) ** 2] * batch)
        assert one.tolist() == pytest.approx([max(0.0, scale - 1) ** 2] * batch)


def check_each_sample_has_its_own_slope(penalty):
    def bowl(points):
        return points.reshape(len(points), -1).square().sum(1) / 2  # slope at x is ||x||

    points = _points(5, (2, 3)) * torch.arange(1, 6, dtype=torch.float64).reshape(-1, 1, 1)
    expected = (points.reshape(5, -1).norm(dim=1) - 1).square()
    assert penalty(bowl, points).tolist() == pytest.approx(expected.tolist())


def check_a_sample_does_not_depend_on_its_batch(penalty):
    critic, points = _network(6), _points(7, (6,))
    together = penalty(critic, points)
    alone = torch.cat([penalty(critic, point[None]) for point in points])
    assert together.tolist() == pytest.approx(alone.tolist(), rel=1e-9)


CHECKS = [
    check_unit_slope_costs_nothing,
    check_scaled_slope_costs_the_squared_excess,
    check_each_sample_has_its_own_slope,
    check_a_sample_does_not_depend_on_its_batch,
]
BLIND = [(per_element_norm, check_a_sample_does_not_depend_on_its_batch)]  # wrong, but wrong sample by sample


def _network(inputs, widths=(8, 5), activation=nn.ReLU, seed=3):
    layers, generator = [], _generator(seed)
    for fan_in, fan_out in itertools.pairwise([inputs, *widths, 1]):
        layer = nn.Linear(fan_in, fan_out).double()
        nn.init.normal_(layer.weight, generator=generator)
        nn.init.normal_(layer.bias, generator=generator)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_the_penalty_conforms(check):
    check(gradient_penalty)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w.__name__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_each_wrong_norm_fails_each_check_that_can_see_it(wrong, check):
    if (wrong, check) in BLIND:
        check(wrong)
        return
    with pytest.raises(AssertionError):
        check(wrong)


def test_slopes_equal_central_differences_sample_by_sample():
    critic, points = _network(4, activation=nn.Tanh), _points(5, (4,))

    def one(point):
        return critic(torch.tensor([point], dtype=torch.float64)).item()

    expected = [slow.slope(one, point) for point in points.tolist()]
    assert input_slopes(critic, points).tolist() == pytest.approx(expected, rel=1e-6)
    assert len({round(value, 6) for value in expected}) == 5


@pytest.mark.parametrize("one_sided", [False, True])
def test_the_penalty_and_its_gradient_are_finite_where_the_critic_is_flat(one_sided):
    critic = _network(3)
    nn.init.zeros_(critic[-1].weight)
    penalty = gradient_penalty(critic, _points(4, (3,)), one_sided=one_sided)
    penalty.sum().backward()
    assert penalty.tolist() == [0.0] * 4 if one_sided else [1.0] * 4
    gradients = [p.grad for p in critic.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)


def test_a_critic_that_ignores_its_input_has_slope_zero():
    bias = nn.Parameter(torch.zeros(()))
    assert gradient_penalty(lambda points: bias.expand(len(points)), torch.rand(3, 2)).tolist() == [1.0] * 3
    assert gradient_penalty(lambda points: torch.ones(len(points)), torch.rand(3, 2)).tolist() == [1.0] * 3


def test_a_column_of_scores_is_as_good_as_a_row():
    critic, points = _network(3), _points(4, (3,))
    flat = gradient_penalty(lambda p: critic(p).reshape(-1), points)
    assert gradient_penalty(critic, points).tolist() == flat.tolist()


def test_without_gradients_the_penalty_is_a_plain_number():
    with torch.no_grad():
        penalty = gradient_penalty(_network(3), _points(4, (3,)))
    assert not penalty.requires_grad


@pytest.mark.parametrize("shape", [(3,), (3, 4, 4)])
def test_no_points_have_no_penalty(shape):
    assert gradient_penalty(lambda points: points.flatten(1).sum(1), _points(0, shape)).shape == (0,)


def test_no_gradient_flows_back_into_the_points():
    points = _points(4, (3,)).requires_grad_(True)
    gradient_penalty(_network(3), points).sum().backward()
    assert points.grad is None


def test_a_critic_with_several_outputs_per_point_is_refused():
    with pytest.raises(DataError, match="one score per point"):
        gradient_penalty(nn.Linear(3, 2), torch.rand(4, 3))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU])
@pytest.mark.parametrize("widths", [(), (7,), (8, 5)])
def test_the_closed_form_equals_double_backward_in_value_and_parameter_gradient(activation, widths):
    points = _points(6, (4,))
    critic = _network(4, widths, activation)
    scores, gradient = forward_with_gradient(critic, points)
    assert torch.allclose(scores, critic(points).reshape(-1), atol=1e-12)
    closed = (gradient.norm(dim=1) - 1).square()
    automatic = gradient_penalty(critic, points)
    assert (closed - automatic).abs().max() < 1e-6
    assert closed.max() - closed.min() > 1e-3 or not widths
    weights = [p for name, p in critic.named_parameters() if "weight" in name]
    for ours, theirs in zip(
        torch.autograd.grad(closed.sum(), weights), torch.autograd.grad(automatic.sum(), weights), strict=True
    ):
        assert (ours - theirs).abs().max() < 1e-6 * (1 + theirs.abs().max())


def test_layers_without_a_bias_have_no_gradient_for_one():
    critic, points = _network(4), _points(6, (4,))
    critic[2].register_parameter("bias", None)
    weights = torch.linspace(-1, 1, 6, dtype=torch.float64)
    found = penalised_gradients(critic, points, weights, 3.0).parameters
    loss = weights @ critic(points).reshape(-1) + 3 * gradient_penalty(critic, points).mean()
    expected = torch.autograd.grad(loss, list(critic.parameters()))
    assert len(found) == len(expected) == 5
    assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "network", [nn.Linear(3, 1), nn.Sequential(nn.Linear(3, 1), nn.Tanh()), nn.Sequential(nn.Linear(3, 2))]
)
def test_the_closed_form_refuses_a_network_that_it_does_not_cover(network):
    with pytest.raises(DataError, match="gradient_penalty"):
        forward_with_gradient(network, torch.rand(2, 3))


def test_a_per_element_penalty_of_zero_leaves_a_true_slope_far_from_one():
    """Why it matters: f(x) = sum of 100 coordinates has slope 1 in each of them and slope 10 in truth."""
    critic, points = (lambda p: p.sum(1)), torch.rand(4, 100)
    assert per_element_norm(critic, points).max() == 0
    assert input_slopes(critic, points).tolist() == pytest.approx([math.sqrt(100)] * 4)

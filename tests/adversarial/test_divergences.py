"""D* and the identities that explain GANs, on discrete distributions."""

import math

import pytest
import torch

from adversarial import divergences, objectives, wasserstein
from tests.reference import adversarial_divergences as slow

P, Q = [0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]


def _tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_kl_equals_its_slow_twin_in_both_directions_and_they_differ():
    forward = divergences.kullback_leibler(_tensor(P), _tensor(Q)).item()
    backward = divergences.kullback_leibler(_tensor(Q), _tensor(P)).item()
    assert forward == pytest.approx(slow.kullback_leibler(P, Q))
    assert backward == pytest.approx(slow.kullback_leibler(Q, P))
    assert abs(forward - backward) > 0.05


def test_mass_where_the_other_has_none_costs_without_bound_and_the_reverse_little():
    real, misses, invents = [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.45, 0.45, 0.1]
    assert divergences.kullback_leibler(_tensor(misses), _tensor(real)).item() == pytest.approx(math.log(2))
    assert divergences.kullback_leibler(_tensor(invents), _tensor(real)).item() == math.inf
    assert divergences.kullback_leibler(_tensor(real), _tensor(invents)).item() == pytest.approx(
        0.105, abs=1e-3
    )


def test_js_equals_its_slow_twin_and_is_symmetric():
    got = divergences.jensen_shannon(_tensor(P), _tensor(Q)).item()
    assert got == pytest.approx(slow.jensen_shannon(P, Q))
    assert got == pytest.approx(divergences.jensen_shannon(_tensor(Q), _tensor(P)).item())


@pytest.mark.parametrize("distance", [0.01, 1.0, 50.0])
def test_js_of_disjoint_supports_is_log_two_while_w_is_the_distance(distance):
    real, generated = _tensor([0.5, 0.5, 0, 0]), _tensor([0, 0, 0.5, 0.5])
    places = [0.0, 1.0]
    assert divergences.jensen_shannon(real, generated).item() == pytest.approx(math.log(2))
    far = [place + 1 + distance for place in places]
    assert wasserstein.exact(places, far).value == pytest.approx(1 + distance)


def test_places_without_any_mass_change_no_value():
    real, generated = _tensor([0.5, 0.5, 0.0]), _tensor([0.8, 0.2, 0.0])
    value, expected = divergences.value_identity(real, generated)
    assert value.item() == pytest.approx(divergences.value_identity(real[:2], generated[:2])[0].item())
    assert value.item() == pytest.approx(expected.item())


def test_a_trained_discriminator_arrives_at_the_optimal_one():
    real, generated = _tensor(P), _tensor(Q)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(1500):
        on_real = (real * objectives.discriminator_on_real(logits)).sum()
        on_generated = (generated * objectives.discriminator_on_generated(logits)).sum()
        optimiser.zero_grad()
        (on_real + on_generated).backward()
        optimiser.step()
    expected = slow.optimal_discriminator(P, Q)
    assert logits.sigmoid().tolist() == pytest.approx(expected, abs=1e-4)
    assert divergences.optimal_discriminator(real, generated).tolist() == pytest.approx(expected)


def test_no_other_discriminator_gets_a_higher_value():
    real, generated = _tensor(P), _tensor(Q)
    best = divergences.optimal_discriminator(real, generated)
    value = divergences.minimax_value(real, generated, best)
    for change in (-0.05, 0.02, 0.05):
        assert divergences.minimax_value(real, generated, best + change) < value


@pytest.mark.parametrize("seed", range(5))
def test_the_value_at_the_optimum_is_two_js_minus_two_log_two(seed):
    logits = torch.randn(2, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    real, generated = logits.softmax(dim=1)
    left, right = divergences.value_identity(real, generated)
    assert left.item() == pytest.approx(right.item(), abs=1e-12)
    by_hand = 2 * slow.jensen_shannon(real.tolist(), generated.tolist()) - 2 * math.log(2)
    assert left.item() == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_with_the_optimal_discriminator_fixed_the_gradients_agree_but_the_values_do_not(seed):
    logits = torch.randn(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    real = torch.randn(7, generator=torch.Generator().manual_seed(seed + 50), dtype=torch.float64).softmax(0)
    left, right = divergences.gradient_identity(real, logits)
    assert left.tolist() == pytest.approx(right.tolist(), abs=1e-10)

    here = slow.softmax(logits.tolist())
    fixed = slow.optimal_discriminator(real.tolist(), here)

    def loss(at):
        return sum(-g * math.log(d) for g, d in zip(slow.softmax(at), fixed, strict=True))

    assert left.tolist() == pytest.approx(slow.numeric_gradient(loss, logits.tolist()), abs=1e-6)
    divergence = slow.kullback_leibler(here, real.tolist()) - 2 * slow.jensen_shannon(here, real.tolist())
    extra = 2 * math.log(2) + sum(r * math.log(d) for r, d in zip(real.tolist(), fixed, strict=True))
    assert loss(logits.tolist()) != pytest.approx(divergence, abs=1e-3)
    assert loss(logits.tolist()) == pytest.approx(divergence + extra, abs=1e-10) or extra != 0


def test_gradients_would_differ_if_the_discriminator_moved_along():
    """The identity is about a discriminator that is held fixed: letting it follow gives another gradient."""
    logits = torch.randn(
        5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True
    )
    real = _tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    generated = logits.softmax(0)
    moving = -(generated * divergences.optimal_discriminator(real, generated).log()).sum()
    (gradient,) = torch.autograd.grad(moving, logits)
    fixed, _ = divergences.gradient_identity(real, logits)
    assert (gradient - fixed).abs().max() > 1e-3

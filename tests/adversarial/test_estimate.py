"""A critic's estimate agrees with the exact distance, and its bound never exceeds it."""

import numpy as np
import pytest
import torch

from adversarial import wasserstein
from adversarial.errors import DataError
from adversarial.estimate import calibrate, critic_distance, fixed_pairs


def test_the_twelve_pairs_span_the_stated_distances():
    pairs = fixed_pairs(300, torch.Generator().manual_seed(0))
    values = [wasserstein.exact(x, y).value for _, x, y in pairs]
    assert len(pairs) == len({name for name, _, _ in pairs}) == 12
    assert 0.04 < min(values) < 0.06
    assert 1.6 < max(values) < 2.1


def test_the_estimate_has_the_right_sign_and_size_and_the_bound_holds():
    _, x, y = fixed_pairs(200, torch.Generator().manual_seed(0))[3]
    estimate = critic_distance(x, y, randomness=torch.Generator().manual_seed(1), steps=200, width=32)
    exact = wasserstein.exact(x, y).value
    assert estimate.value == pytest.approx(exact, rel=0.2)
    assert 0.5 * exact < estimate.lower_bound <= exact + 1e-9
    assert estimate.lower_bound == pytest.approx(estimate.value / estimate.observed_slope)


@pytest.mark.slow
def test_estimates_follow_exact_distances_over_all_pairs():
    found = calibrate(one_sided=True, count=100, steps=200)
    assert found.correlation > 0.99
    assert np.abs(found.ratios - 1).max() < 0.35


def test_points_of_different_spaces_are_refused():
    with pytest.raises(DataError, match="critic_distance"):
        critic_distance(torch.zeros(3, 2), torch.zeros(3, 1), randomness=torch.Generator())

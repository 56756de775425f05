"""Exact distances equal brute force and linear programs, and prove themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adversarial import transport_programs, wasserstein
from adversarial.errors import DataError
from tests.reference import adversarial_wasserstein as slow


def _cloud(n, dim, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, dim)) + shift


def _weights(n, seed):
    weights = np.random.default_rng(seed).random(n)
    return weights / weights.sum()


@pytest.mark.parametrize("seed", range(5))
def test_exact_equals_the_best_of_all_assignments(seed):
    x, y = _cloud(6, 2, seed), _cloud(6, 2, seed + 100, shift=1.0)
    assert wasserstein.exact(x, y).value == pytest.approx(slow.by_trying_every_assignment(x, y), abs=1e-12)


def test_unequal_sizes_and_weights_equal_repeated_points():
    x, y = _cloud(3, 2, 0), _cloud(4, 2, 1)
    p_counts, q_counts = [4, 1, 2], [1, 3, 1, 2]
    got = wasserstein.exact(x, y, np.array(p_counts) / 7, np.array(q_counts) / 7).value
    assert got == pytest.approx(slow.by_repeating_points(x, y, p_counts, q_counts), abs=1e-12)


def _assert_all_agree(x, y, p, q):
    cost = wasserstein.distances(x, y)
    value = wasserstein.exact(x, y, p, q).value
    assert transport_programs.primal(cost, p, q)[0] == pytest.approx(value, abs=1e-9)
    assert transport_programs.dual(cost, p, q)[0] == pytest.approx(value, abs=1e-9)
    assert transport_programs.one_potential_dual(x, y, p, q)[0] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (13, 7), (40, 60)])
def test_primal_dual_and_network_simplex_agree(n, m):
    x, y, p, q = _cloud(n, 3, n), _cloud(m, 3, m + 1, shift=0.5), _weights(n, 2), _weights(m, 3)
    _assert_all_agree(x, y, p, q)


def test_weights_far_apart_in_size_are_no_contradiction_to_the_programs():
    rng = np.random.default_rng(0)
    for _ in range(60):
        x, y = rng.normal(size=(rng.integers(1, 30), 2)), rng.normal(size=(rng.integers(1, 30), 2))
        p, q = (rng.dirichlet(np.full(len(points), 0.1)) for points in (x, y))
        _assert_all_agree(x, y, p, q)


def test_weights_that_miss_each_other_by_rounding_leave_the_one_potential_bounded():
    x, y = _cloud(3, 1, 0), _cloud(2, 1, 1)
    p, q = np.array([0.1, 0.2, 0.7]) + 1e-9, np.array([0.5, 0.5])
    expected = wasserstein.exact(x, y, p, q).value
    assert transport_programs.one_potential_dual(x, y, p, q)[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
def test_primal_dual_and_network_simplex_agree_on_two_hundred_points():
    x, y, p, q = _cloud(200, 2, 0), _cloud(200, 2, 1, shift=0.3), _weights(200, 2), _weights(200, 3)
    cost = wasserstein.distances(x, y)
    value = wasserstein.exact(x, y, p, q).value
    assert transport_programs.primal(cost, p, q)[0] == pytest.approx(value, abs=1e-9)
    assert transport_programs.dual(cost, p, q)[0] == pytest.approx(value, abs=1e-9)


@given(
    n=st.integers(1, 25),
    m=st.integers(1, 25),
    dim=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    grid=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_value_carries_a_certificate_and_a_plan_with_the_right_marginals(n, m, dim, seed, grid):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, dim)), rng.normal(size=(m, dim))
    if grid:  # ties, coinciding points and weights of zero
        x, y = x.round(), y.round()
    p, q = (
        rng.random(n) * rng.integers(0, 2, n) + 1e-3 * (rng.random() < 0.5),
        rng.random(m) * rng.integers(0, 2, m) + 1e-3 * (rng.random() < 0.5),
    )
    p = (p + (p.sum() == 0)) / (p + (p.sum() == 0)).sum()
    q = (q + (q.sum() == 0)) / (q + (q.sum() == 0)).sum()
    result = wasserstein.exact(x, y, p, q)
    f, g = result.potentials
    cost = wasserstein.distances(x, y)
    assert (f[:, None] + g[None, :] - cost).max() <= 1e-9
    assert result.violation <= 1e-9
    assert abs(result.gap) <= 1e-9
    assert p @ f + q @ g == pytest.approx(result.value, abs=1e-9)
    plan = result.plan.toarray()
    assert plan.min() >= 0
    assert np.abs(plan.sum(axis=1) - p).max() <= 1e-12
    assert np.abs(plan.sum(axis=0) - q).max() <= 1e-12
    assert result.plan.nnz <= n + m - 1


@pytest.mark.parametrize("unit", [1e-100, 1e-30, 1e-12, 1e12, 1e100])
def test_the_unit_of_the_points_is_the_unit_of_the_distance(unit):
    x, y = _cloud(80, 3, 0), _cloud(90, 3, 1, shift=0.3)
    one, scaled = wasserstein.exact(x, y), wasserstein.exact(unit * x, unit * y)
    assert scaled.value / unit == pytest.approx(one.value, rel=1e-12)
    assert abs(scaled.gap) <= 1e-12 * unit
    assert scaled.violation <= 1e-12 * unit


@pytest.mark.parametrize("far", [1e3, 1e12, 1e18, 1e100])
def test_a_point_without_weight_changes_nothing_however_far_it_is(far):
    x, y, outlier = _cloud(60, 2, 0), _cloud(70, 2, 1, shift=0.3), np.array([[far, 0.0]])
    p, q = np.full(60, 1 / 60), np.full(70, 1 / 70)
    one = wasserstein.exact(x, y)
    for x_, y_, p_, q_ in (
        (np.concatenate([outlier, x]), y, np.append(0.0, p), q),
        (x, np.concatenate([y, outlier]), p, np.append(q, 0.0)),
    ):
        found = wasserstein.exact(x_, y_, p_, q_)
        assert found.value == pytest.approx(one.value, rel=1e-12)
        assert abs(found.gap) <= 1e-12
        assert found.violation <= 1e-12 * far
        assert found.plan.shape == (len(x_), len(y_))


def test_it_is_a_metric_between_weighted_sets():
    x, y, z = _cloud(8, 2, 0), _cloud(5, 2, 1), _cloud(9, 2, 2)
    d = lambda a, b: wasserstein.exact(a, b).value  # noqa: E731
    assert d(x, x) == pytest.approx(0, abs=1e-12)
    assert d(x, y) == pytest.approx(d(y, x))
    assert d(x, z) <= d(x, y) + d(y, z)


def test_moving_everything_by_a_vector_costs_its_length():
    x = _cloud(50, 2, 0)
    assert wasserstein.exact(x, x + np.array([3.0, 4.0])).value == pytest.approx(5.0)


def test_flat_lists_and_tensors_are_points_too():
    assert wasserstein.exact([0.0, 1.0], [5.0, 6.0]).value == pytest.approx(5.0)
    assert wasserstein.exact(torch.zeros(3, 2), torch.ones(2, 2)).value == pytest.approx(2**0.5)


def test_the_marginal_matrix_is_written_out_and_has_rank_one_less_than_its_rows():
    matrix = transport_programs.marginal_matrix(2, 3).toarray()
    assert matrix.tolist() == [
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 1],
        [1, 0, 0, 1, 0, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 1],
    ]
    assert np.linalg.matrix_rank(matrix) == 4


def test_the_primal_plan_moves_p_to_q():
    x, y, p, q = _cloud(6, 2, 0), _cloud(4, 2, 1), _weights(6, 2), _weights(4, 3)
    _, plan = transport_programs.primal(wasserstein.distances(x, y), p, q)
    assert plan.sum(axis=1) == pytest.approx(p)
    assert plan.sum(axis=0) == pytest.approx(q)


def test_the_one_potential_solution_is_one_lipschitz_on_both_supports():
    x, y = _cloud(10, 2, 0), _cloud(12, 2, 1)
    _, f = transport_programs.one_potential_dual(x, y, np.full(10, 0.1), np.full(12, 1 / 12))
    points = np.concatenate([x, y])
    rise = np.abs(f[:, None] - f[None, :]) - wasserstein.distances(points, points)
    assert rise.max() <= 1e-9


def test_tightening_never_lowers_the_value_and_makes_any_potential_feasible():
    x, y, p, q = _cloud(7, 2, 0), _cloud(9, 2, 1), _weights(7, 2), _weights(9, 3)
    cost = wasserstein.distances(x, y)
    g = np.random.default_rng(5).normal(size=9) * 0.1
    f = wasserstein.c_transform(cost, g) - 0.2  # feasible, but loose
    tight_f, tight_g = wasserstein.tighten(cost, g)
    assert wasserstein.dual_violation(f, g, cost) == 0
    assert wasserstein.dual_violation(tight_f, tight_g, cost) <= 1e-12
    assert wasserstein.dual_value(tight_f, tight_g, p, q) > wasserstein.dual_value(f, g, p, q)
    assert wasserstein.dual_violation(f + 1.0, g, cost) == pytest.approx(0.8)


def test_the_c_transform_is_the_smallest_slack_of_each_row():
    cost, g = np.array([[1.0, 5.0, 2.0], [4.0, 0.5, 3.0]]), np.array([0.25, -1.0, 1.5])
    expected = [min(c - b for c, b in zip(row, g, strict=True)) for row in cost]
    assert wasserstein.c_transform(cost, g).tolist() == expected
    assert expected == [0.5, 1.5]


@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 9), (1, 6)])
def test_on_the_line_the_area_between_the_cumulatives_equals_the_exact_value(n, m):
    x, y, p, q = _cloud(n, 1, n)[:, 0], _cloud(m, 1, m + 50)[:, 0], _weights(n, 2), _weights(m, 3)
    got = wasserstein.one_dimensional(x, y, p, q)
    assert got == pytest.approx(slow.area_between_cumulatives(x, y, p, q), abs=1e-12)
    assert got == pytest.approx(wasserstein.exact(x, y, p, q).value, abs=1e-12)


def test_equal_samples_on_the_line_pair_up_in_sorted_order():
    x, y = _cloud(30, 1, 0)[:, 0], _cloud(30, 1, 1)[:, 0]
    assert wasserstein.one_dimensional(x, y) == pytest.approx(np.abs(np.sort(x) - np.sort(y)).mean())


def test_sliced_is_a_lower_bound_that_is_tight_on_the_line_and_sees_rotations_equally():
    x, y = _cloud(40, 3, 0), _cloud(30, 3, 1, shift=1.0)
    rng = np.random.default_rng(0)
    assert 0 < wasserstein.sliced(x, y, rng=rng, projections=50) < wasserstein.exact(x, y).value
    line = wasserstein.sliced(x[:, :1], y[:, :1], rng=rng, projections=3)
    assert line == pytest.approx(wasserstein.exact(x[:, :1], y[:, :1]).value)


def test_sliced_averages_the_projection_of_a_shift_over_all_directions():
    """|cos| of a uniform angle in the plane averages 2 / pi."""
    x = _cloud(5, 2, 0)
    got = wasserstein.sliced(x, x + np.array([2.0, 0.0]), rng=np.random.default_rng(0), projections=20_000)
    assert got == pytest.approx(4 / np.pi, rel=0.01)


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_the_observed_slope_turns_any_critic_into_a_lower_bound(scale):
    x, y = _cloud(20, 2, 0), _cloud(25, 2, 1, shift=0.8)
    score = lambda z: scale * np.sin(z @ [1.0, 0.4]) - scale * z[:, 0]  # noqa: E731
    bound, slope = wasserstein.slope_bound(score(x), score(y), x, y)
    assert slope == pytest.approx(slow.steepest_pair(score(x), score(y), x, y))
    assert 0 < bound <= wasserstein.exact(x, y).value + 1e-12
    assert bound == pytest.approx((score(x).mean() - score(y).mean()) / slope)


def test_the_optimal_potential_attains_the_bound():
    x, y = _cloud(20, 2, 0), _cloud(20, 2, 1, shift=0.8)
    result = wasserstein.exact(x, y)
    bound, slope = wasserstein.slope_bound(result.potentials[0], -result.potentials[1], x, y)
    assert slope == pytest.approx(1.0)
    assert bound == pytest.approx(result.value)


def test_a_critic_that_tells_coinciding_points_apart_proves_nothing():
    bound, slope = wasserstein.slope_bound([1.0, 0.0], [0.0, 0.0], [[0.0], [1.0]], [[0.0], [2.0]])
    assert (bound, slope) == (0.0, np.inf)
    assert wasserstein.slope_bound([2.0], [2.0], [[0.0]], [[0.0]]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0, 1.0]], [[0.0]]), "same space"),
        (([[np.nan]], [[0.0]]), "x: row 0"),
        (([], [[0.0]]), "at least one point"),
        (([[0.0]], [[0.0]], [0.5]), "p sums to 0.5;"),
        ((["a"], [0.0]), "x cannot be read as a dense array of numbers"),
        (([0.0], [0.0], ["a"]), "p cannot be read as a dense array of numbers"),
        (([[0.0], [1.0, 2.0]], [[0.0]]), "x cannot be read"),
        (([1e200, -1e200], [[3e200], [0.0]]), "range of floats"),
        (([[0.0]], [[0.0], [1.0]], None, [1.0]), "each of the 2 points"),
        (([[0.0], [1.0]], [[0.0]], [1.5, -0.5]), "not negative"),
        ((np.zeros((20_000, 1)), np.zeros((20_000, 1))), "sliced"),
    ],
)
def test_points_and_weights_that_do_not_fit_are_refused_with_the_way_out(arguments, message):
    with pytest.raises(DataError, match=message):
        wasserstein.exact(*arguments)


@pytest.mark.slow
def test_the_certificate_holds_at_two_thousand_points():
    result = wasserstein.exact(_cloud(2000, 2, 0), _cloud(2000, 2, 1, shift=0.5))
    assert result.violation < 1e-9
    assert abs(result.gap) < 1e-9

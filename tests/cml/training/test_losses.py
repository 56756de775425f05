"""Every loss against plain Python, on rows that all differ, with ineligible draws strewn in."""

import pytest
import torch

from cml.training import losses
from tests.reference import losses as slow

MARGIN = 0.5
D_POS = [0.1, 0.9, 0.4, 1.7, 0.3]
D_NEG = [
    [3.0, 0.2, 0.5, 0.45],
    [1.0, 1.1, 0.2, 2.0],
    [3.5, 3.0, 0.85, 4.0],
    [1.8, 0.1, 2.1, 1.0],
    [9.0, 8.0, 7.0, 6.0],
]
ELIGIBLE = [
    [True, True, True, False],
    [True, True, True, True],
    [True, False, True, True],
    [False, True, True, True],
    [True, True, True, True],
]
N_ELIGIBLE = [97.0, 100.0, 53.0, 88.0, 20.0]
d_pos, d_neg = torch.tensor(D_POS), torch.tensor(D_NEG)
eligible, n_eligible = torch.tensor(ELIGIBLE), torch.tensor(N_ELIGIBLE)
ROWS = [
    (pos, [value for value, ok in zip(negs, oks, strict=True) if ok], count)
    for pos, negs, oks, count in zip(D_POS, D_NEG, ELIGIBLE, N_ELIGIBLE, strict=True)
]
SLOW_RANKS = {
    "exact": lambda pos, negs, _: slow.exact_rank(pos, negs, MARGIN),
    "parallel": lambda pos, negs, count: slow.parallel_rank(pos, negs, MARGIN, count),
    "sequential": lambda pos, negs, count: slow.sequential_rank(pos, negs, MARGIN, count),
}


def equal(got, wanted):
    assert got.tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert len({round(value, 6) for value in wanted}) >= len(wanted) - 1  # equal rows would let a mix-up pass


def test_contrastive_pulls_similar_pairs_and_pushes_others():
    distance, similar = torch.tensor([0.3, 0.3, 2.0, 2.0]), torch.tensor([True, False, True, False])
    wanted = [
        slow.contrastive(d, s, MARGIN) for d, s in zip(distance.tolist(), similar.tolist(), strict=True)
    ]
    assert losses.contrastive(distance, similar, margin=MARGIN).tolist() == pytest.approx(wanted)
    assert wanted == pytest.approx([0.09, 0.04, 4.0, 0.0])


@pytest.mark.parametrize("improved", [False, True])
def test_triplet_losses_equal_the_slow_version(improved):
    got = (losses.improved_triplet if improved else losses.triplet)(d_pos, d_neg, margin=MARGIN)
    for row, pos in enumerate(D_POS):
        wanted = [improved * pos + slow.triplet(pos, neg, MARGIN) for neg in D_NEG[row]]
        assert got[row].tolist() == pytest.approx(wanted, abs=1e-6)


def test_lmnn_equals_the_slow_version():
    equal(losses.lmnn(d_pos, d_neg, eligible, push=0.3), [slow.lmnn(pos, negs, 0.3) for pos, negs, _ in ROWS])


def test_ranks_equal_the_slow_versions():
    equal(
        losses.exact_rank(d_pos, d_neg, eligible, margin=MARGIN), [SLOW_RANKS["exact"](*row) for row in ROWS]
    )
    for name in ("parallel", "sequential"):
        got = getattr(losses, f"{name}_rank")(d_pos, d_neg, eligible, n_eligible, margin=MARGIN)
        assert got.tolist() == [SLOW_RANKS[name](*row) for row in ROWS]
        assert got[-1] == 0


def test_a_parallel_rank_is_not_rounded_up_by_floating_point():
    """29 of 29 draws of 10,000,019 items: a float32 quotient would give one too many or too few."""
    ones = torch.ones(1, 29, dtype=torch.bool)
    rank = losses.parallel_rank(
        torch.ones(1), torch.zeros(1, 29), ones, torch.tensor([10_000_019]), margin=0.1
    )
    assert int(rank) == 10_000_019


@pytest.mark.parametrize("impostor", ["hardest", "first", "mean"])
def test_warp_equals_the_slow_version_row_by_row(impostor):
    hinge = getattr(losses, f"{impostor}_hinge")(d_pos, d_neg, eligible, margin=MARGIN)
    rank = losses.parallel_rank(d_pos, d_neg, eligible, n_eligible, margin=MARGIN)
    wanted = [
        slow.warp(pos, negs, MARGIN, slow.parallel_rank(pos, negs, MARGIN, count), impostor)
        for pos, negs, count in ROWS
    ]
    equal(losses.rank_weight(rank) * hinge, wanted)


def test_smooth_warp_equals_the_slow_version():
    got = losses.smooth_warp(d_pos, d_neg, eligible, n_eligible, temperature=0.3)
    equal(got, [slow.smooth_warp(pos, negs, count, 0.3) for pos, negs, count in ROWS])


def test_smooth_warp_bounds_the_log_of_the_exact_rank_from_above():
    counts = eligible.sum(1).float()  # the whole catalogue as pool
    rank = losses.exact_rank(d_pos, d_neg, eligible, margin=0.0)
    for temperature in (0.01, 0.3, 2.0):
        bound = losses.smooth_warp(d_pos, d_neg, eligible, counts, temperature=temperature)
        assert (bound >= temperature * torch.log1p(rank) - 1e-6).all()


def test_smooth_warp_tends_to_the_hinge_on_the_hardest_negative():
    counts = eligible.sum(1).float()
    smooth = losses.smooth_warp(d_pos, d_neg, eligible, counts, temperature=1e-4)
    hinge = losses.hardest_hinge(d_pos, d_neg, eligible, margin=0.0)
    assert smooth.tolist() == pytest.approx(hinge.tolist(), abs=1e-3)


def test_without_an_eligible_negative_there_is_nothing_to_learn():
    none = torch.zeros_like(eligible)
    assert not losses.smooth_warp(d_pos, d_neg, none, n_eligible, temperature=0.3).any()
    assert not losses.hardest_hinge(d_pos, d_neg, none, margin=MARGIN).any()
    assert not losses.parallel_rank(d_pos, d_neg, none, n_eligible, margin=MARGIN).any()


def test_the_covariance_penalty_equals_the_slow_version_and_is_never_negative():
    points = torch.tensor([[1.0, 0.5, -1.0], [0.2, -0.3, 0.8], [0.0, 2.0, 0.1], [-1.0, 0.4, 0.4]])
    assert float(losses.covariance_penalty(points)) == pytest.approx(
        slow.covariance(points.tolist()), rel=1e-5
    )
    independent = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert float(losses.covariance_penalty(independent)) == pytest.approx(0.0, abs=1e-12)


def test_the_feature_loss_is_the_squared_distance_to_the_item():
    projected, vectors = torch.tensor([[0.0, 1.0], [2.0, 0.5]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert losses.feature_loss(projected, vectors).tolist() == pytest.approx([1.0, 4.25])

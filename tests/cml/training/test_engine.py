"""The written-out gradients against autograd, against numbers moved by hand, and what a step may touch."""

import itertools

import numpy as np
import pytest
import torch

from cml.config import TrainConfig, load_config
from cml.errors import ConfigError, TrainingError
from cml.training.objectives import make_objective
from cml.training.plan import Plan
from cml.training.sampling import batches_of_pairs
from cml.training.space import Space
from tests.cml.training_worlds import dataset, scattered

OBJECTIVES = [
    "loss=smooth-warp",
    "loss=contrastive",
    "loss=triplet",
    "loss=triplet squared=false",
    "loss=improved-triplet",
    "loss=improved-triplet squared=false",
    "loss=lmnn push=0.3",
    *(
        f"loss=warp rank={rank} impostor={impostor}"
        for rank, impostor in itertools.product(["parallel", "sequential"], ["hardest", "first", "mean"])
    ),
    "loss=warp rank=exact impostor=mean negatives=all",
]
NEGATIVES = ["negatives=shared pool=12", "negatives=per-pair draws=7", "negatives=all"]


def plan_of(settings, world=None):
    config = load_config(overrides=("dim=5", "radius=1.0", *settings.split()))
    world = world or scattered()
    start = Space.random(world.n_users, world.n_items, 5, 1.0, torch.Generator().manual_seed(1))
    return Plan.of(world, config, start)


def first_step(plan):
    batch = next(iter(plan.batches()))
    return batch, plan.negatives.draw(batch, plan.rng), plan.weights(batch)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("batch", ["batch=pairs batch_size=17", "batch=users batch_size=40"])
def test_written_out_gradients_equal_autograd(objective, negatives, batch):
    if "exact" in objective and negatives != "negatives=all":
        negatives = "negatives=all"
    settings = f"{objective} {negatives} {batch} covariance=3.0"
    fast, slow = plan_of(settings), plan_of(settings + " gradient=autograd")
    got = fast.engine.gradients(*first_step(fast))
    wanted = slow.engine.gradients(*first_step(slow))
    assert wanted.by_users.abs().max() > 1e-3
    assert torch.equal(got.items, wanted.items)
    torch.testing.assert_close(got.by_users, wanted.by_users, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.by_items, wanted.by_items, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.report.loss, wanted.report.loss, rtol=1e-5, atol=1e-5)
    assert got.report.covariance == pytest.approx(wanted.report.covariance, rel=1e-4)
    assert got.report.impostor_share == pytest.approx(wanted.report.impostor_share)


def test_the_gradient_predicts_what_a_small_move_does():
    plan = plan_of("loss=smooth-warp negatives=all user_power=0")
    batch, negatives, weights = first_step(plan)
    gradients = plan.engine.gradients(batch, negatives, weights)
    row, component, move = 3, 2, 1e-3

    def objective():
        return float((plan.engine.gradients(batch, negatives, weights).report.loss * weights).double().sum())

    before = objective()
    plan.space.items[gradients.items[row], component] += move
    assert (objective() - before) / move == pytest.approx(float(gradients.by_items[row, component]), rel=0.05)


def test_masked_items_neither_count_nor_move():
    """A user's own items and, with a pool, items outside it keep their places; a disliked one is pushed away."""
    world = dataset([(0, 0), (0, 1), (1, 2)], users=2, items=6, disliked=[(0, 3)])
    plan = plan_of("loss=warp margin=50 impostor=mean negatives=all", world)
    batch = next(batches_of_pairs(world.positives(), 10, np.random.default_rng(0)))
    negatives = plan.negatives.draw(batch, plan.rng)
    masked = set(
        zip(batch.users[negatives.masked_rows], negatives.items[negatives.masked_columns], strict=True)
    )
    assert masked == {(0, 0), (0, 1), (1, 2)}
    assert negatives.n_eligible.tolist() == [4, 5]
    report = plan.engine.gradients(batch, negatives, plan.weights(batch)).report
    assert report.impostor_share == 1.0


@pytest.mark.parametrize("optimizer", ["rowwise-adagrad", "adagrad", "adam"])
def test_a_step_moves_only_its_rows_and_keeps_them_in_the_ball(optimizer):
    plan = plan_of(f"optimizer={optimizer} learning_rate=5 negatives=shared pool=4 batch_size=3")
    before = plan.space.copy()
    batch, negatives, weights = first_step(plan)
    plan.engine.step(batch, negatives, weights)
    moved_users = set(torch.nonzero((plan.space.users != before.users).any(1)).flatten().tolist())
    moved_items = set(torch.nonzero((plan.space.items != before.items).any(1)).flatten().tolist())
    assert moved_users
    assert moved_users <= set(batch.users.tolist())
    assert moved_items
    assert moved_items <= {*batch.liked.tolist(), *negatives.items.tolist()}
    assert torch.linalg.vector_norm(plan.space.users, dim=1).max() <= 1 + 1e-6
    assert torch.linalg.vector_norm(plan.space.items, dim=1).max() <= 1 + 1e-6


def test_an_exact_rank_needs_the_whole_catalogue():
    with pytest.raises(ConfigError, match="negatives = 'all'"):
        make_objective(TrainConfig(loss="warp", rank="exact"))


def test_nothing_liked_is_refused():
    with pytest.raises(TrainingError, match="no liked pair"):
        plan_of("", dataset([], users=1, items=4, disliked=[(0, 3)]))


def test_active_users_weigh_less_a_pair_and_pairs_one_on_average():
    world = dataset([(0, 0), (0, 1), (0, 2), (0, 3), (1, 4)], users=2, items=6)
    plan = plan_of("user_power=0.5", world)
    assert plan.user_weights[0] / plan.user_weights[1] == pytest.approx(0.5)
    assert (4 * plan.user_weights[0] + plan.user_weights[1]) / 5 == pytest.approx(1)
    assert plan_of("user_power=0", world).user_weights.tolist() == [1, 1]

"""The feature loss of users: who feels it, how strongly, and whom an extractor learns from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cml.catalogue import Catalogue
from cml.config import UserFeatureConfig, load_config
from cml.errors import DataError
from cml.pipeline import validation
from cml.training.checkpoint import Checkpoint
from cml.training.features import EncodedFeatures
from cml.training.plan import Plan
from cml.training.space import Space
from cml.training.trainer import fit
from cml.training.tuning import Budget, Tuner
from tests.cml.training.test_engine import first_step
from tests.cml.training_worlds import dataset, saving_until, scattered, two_tastes
from tests.reference import features as slow


def described(n_users: int, **settings: object) -> EncodedFeatures:
    """Users of two towns and some age; every fifth told neither."""
    told = [None if row % 5 == 4 else row for row in range(n_users)]
    columns = {
        "town": [row if row is None else ["Bonn", "Cork"][row % 2] for row in told],
        "age": [row if row is None else 20.0 + row % 7 for row in told],
    }
    chosen = UserFeatureConfig(columns=("town", "age"), **settings)
    return EncodedFeatures.of(Catalogue.from_columns(n_users, columns), chosen, what="user")


@pytest.mark.parametrize("gradient", ["analytic", "autograd"])
@pytest.mark.parametrize("batch", ["batch=pairs batch_size=17", "batch=users batch_size=40 visits=2"])
def test_the_pull_in_a_step_equals_its_slow_twin(gradient: str, batch: str) -> None:
    world = scattered()
    config = load_config(overrides=("dim=5", "pool=12", f"gradient={gradient}", *batch.split()))
    start = Space.random(world.n_users, world.n_items, 5, 1.0, torch.Generator().manual_seed(1))
    plain = Plan.of(world, config, start)
    drawn = Plan.of(world, config, start, user_features=described(world.n_users, weight=3.0))
    assert drawn.user_prior is not None
    drawn.user_prior.renew(drawn.space.users)
    step = first_step(drawn)
    one, other = plain.engine.gradients(*first_step(plain)), drawn.engine.gradients(*step)
    touched, users = other.users.numpy(), drawn.space.users.double().numpy()
    places = drawn.user_prior.places.double().numpy()
    own = [[float(step[2][at]) for at in np.flatnonzero(step[0].owner == n)] for n in range(len(touched))]
    likes = np.diff(world.positives().indptr)
    weights = [
        0.0 if row % 5 == 4 else 3.0 * sum(said) / likes[row] for row, said in zip(touched, own, strict=True)
    ]
    assert len(set(weights)) > 5
    before = slow.feature_loss(places[touched], users[touched], weights)
    assert other.report.features == pytest.approx(before, rel=1e-5)
    torch.testing.assert_close(other.by_items, one.by_items)
    pull = (other.by_users - one.by_users).numpy()
    for at, row in enumerate(touched):
        moved = users[touched].copy()
        moved[at, 2] += 1e-4
        change = slow.feature_loss(places[touched], moved, weights) - before
        assert pull[at, 2] == pytest.approx(change / 1e-4, abs=2e-3), row


@pytest.mark.parametrize("batch", ["batch=pairs batch_size=7", "batch=users batch_size=40 visits=3"])
def test_over_an_epoch_each_user_feels_as_many_own_likes_as_the_weight_says(batch: str) -> None:
    world = dataset([(0, 0), *((1, item) for item in range(1, 9)), *((2, item) for item in range(4))])
    config = load_config(overrides=("dim=3", "start=random", "user_power=0", *batch.split()))
    plan = Plan.of(world, config, None, user_features=described(3, weight=2.0))
    assert plan.user_prior is not None
    plan.user_prior.renew(plan.space.users)
    felt = torch.zeros(3)
    for part in plan.batches():
        rows, owner = torch.from_numpy(part.users), torch.from_numpy(part.owner)
        felt[rows] += plan.user_prior.share_of(rows, owner, plan.weights(part))
    assert felt.tolist() == pytest.approx([2.0, 2.0, 2.0])


def test_a_weight_of_zero_trains_as_if_there_were_no_features() -> None:
    world = two_tastes()[0]
    config = load_config(overrides=("dim=6", "epochs=2", "batch_size=64"))
    without = fit(world, config).space
    idle = fit(world, config, user_features=described(world.n_users, weight=0)).space
    drawn = fit(world, config, user_features=described(world.n_users, weight=3)).space
    assert torch.equal(without.users, idle.users)
    assert not torch.allclose(without.users, drawn.users, atol=1e-2)


def test_trials_are_drawn_as_well() -> None:
    world, held_out = two_tastes()
    config = load_config(overrides=("dim=6", "epochs=2", "batch_size=64", "start=random"))
    features = described(world.n_users, weight=3)
    budget = Budget(1.0, 0.0, iter(range(1, 99)).__next__)  # a second passes whenever somebody looks
    tuner = Tuner(world, validation(world, held_out, config), budget, user_features=features)
    _, chosen = tuner.search(config)
    assert len(tuner.trials) == 1  # there is no time for another
    assert torch.equal(chosen.space.users, fit(world, config, user_features=features).space.users)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_resumed_run_ends_exactly_like_an_uninterrupted_one(tmp_path, hidden) -> None:
    world = two_tastes()[0]
    features = described(world.n_users, hidden=hidden)
    config = load_config(
        overrides=("dim=6", "epochs=4", "batch_size=64", "user_features.weight_schedule=linear")
    )
    undisturbed = fit(world, config, user_features=features)

    checkpoint = Checkpoint(tmp_path / "state", "run", pause=0.0)
    fit(world, config, user_features=features, save=saving_until(2, checkpoint))
    resumed = fit(world, config, user_features=features, resume=checkpoint.resume)
    assert torch.equal(resumed.space.users, undisturbed.space.users)


def test_users_of_training_without_any_value_are_refused() -> None:
    nothing = Catalogue.from_columns(2, {"town": [None, None], "age": [None, None]})
    with pytest.raises(
        DataError, match="feature 'town' has no value of kind text in any row that training knows"
    ):
        EncodedFeatures.of(nothing, UserFeatureConfig(columns=("town",)), what="user")

"""Which pairs a step learns from and which items it compares them with."""

from functools import partial

import numpy as np
import pytest

from cml.training.sampling import (
    Interacted,
    PerPair,
    SharedPool,
    batches_of_pairs,
    batches_of_users,
    popularity_probability,
)
from tests.cml.training_worlds import scattered

WORLD = scattered()
POSITIVES = WORLD.positives()
INTERACTED = Interacted(WORLD.seen(), WORLD.dislikes())


@pytest.mark.parametrize("batches", [batches_of_pairs, batches_of_users, partial(batches_of_users, visits=4)])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_epoch_takes_every_positive_once_with_its_weight(batches, size):
    taken = {}
    for batch in batches(POSITIVES, size, np.random.default_rng(0)):
        assert len(set(batch.users)) == len(batch.users)
        for owner, item, weight in zip(batch.owner, batch.liked, batch.weights, strict=True):
            pair = (batch.users[owner], item)
            assert pair not in taken
            taken[pair] = weight
    assert len(taken) == POSITIVES.nnz
    assert all(POSITIVES[user, item] == weight for (user, item), weight in taken.items())


def test_batches_of_users_never_split_a_user():
    owners = [batch.users.tolist() for batch in batches_of_users(POSITIVES, 13, np.random.default_rng(0))]
    assert len(owners) > 1
    assert sorted(user for part in owners for user in part) == list(range(WORLD.n_users))


def test_visits_deal_a_users_positives_into_parts():
    batches = list(batches_of_users(POSITIVES, 10_000, np.random.default_rng(0), visits=3))
    assert len(batches) == 3
    assert all(len(batch.users) > WORLD.n_users / 2 for batch in batches)
    assert all(len(batch.liked) < POSITIVES.nnz / 2 for batch in batches)


@pytest.mark.parametrize(
    "negatives", [SharedPool(10, INTERACTED), SharedPool(25, INTERACTED), PerPair(9, INTERACTED)]
)
@pytest.mark.parametrize("seed", range(5))
def test_a_users_own_items_are_never_used_and_dislikes_always_may_be(negatives, seed):
    rng = np.random.default_rng(seed)
    batch = next(batches_of_pairs(POSITIVES, 60, rng))
    drawn = negatives.draw(batch, rng)
    seen, dislikes = WORLD.seen().toarray() > 0, WORLD.dislikes().toarray() > 0
    rows = len(batch.users) if drawn.shared else len(batch.liked)
    masked = np.zeros((rows, drawn.items.shape[-1]), dtype=bool)
    masked[drawn.masked_rows, drawn.masked_columns] = True
    users = batch.users if drawn.shared else batch.users[batch.owner]
    for row, user in enumerate(users):
        items = drawn.items if drawn.shared else drawn.items[row]
        assert np.array_equal(masked[row], (seen & ~dislikes)[user, items])
        assert drawn.n_eligible[row] == (~(seen & ~dislikes)[user]).sum()
    assert masked.any()


def test_a_shared_pool_holds_distinct_items_in_order():
    batch = next(batches_of_pairs(POSITIVES, 60, np.random.default_rng(0)))
    items = SharedPool(10, INTERACTED).draw(batch, np.random.default_rng(3)).items
    assert len(items) == 10
    assert (np.diff(items) > 0).all()
    assert SharedPool(10_000, INTERACTED).draw(batch, np.random.default_rng(3)).items.tolist() == list(
        range(25)
    )


def test_popular_items_are_drawn_in_proportion_to_their_power():
    probability = popularity_probability(POSITIVES, 0.5)
    likes = np.bincount(POSITIVES.indices, minlength=WORLD.n_items)
    assert probability.sum() == pytest.approx(1)
    most, least = likes.argmax(), likes.argmin()
    ratio = (likes[most] + 1) / (likes[least] + 1)
    assert ratio > 1.5
    assert probability[most] / probability[least] == pytest.approx(ratio**0.5)
    assert popularity_probability(POSITIVES, 0.0) is None
    batch = next(batches_of_pairs(POSITIVES, 200, np.random.default_rng(0)))
    steep = np.zeros(WORLD.n_items)
    steep[[2, 5]] = 0.5
    assert set(PerPair(30, INTERACTED, steep).draw(batch, np.random.default_rng(0)).items.ravel()) == {2, 5}

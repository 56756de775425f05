"""The closed-form start against plain normal equations, and the lift that keeps its ranking."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cml.config import ModelConfig
from cml.training import als
from cml.training.start import REGULARIZATIONS, starting_space
from tests.cml.training_worlds import scattered, two_tastes
from tests.reference.als import solve_rows


@pytest.mark.parametrize("dim", [3, 6, 11])  # rows with more and with fewer pairs than dimensions
def test_each_sweep_solves_the_normal_equations(dim, monkeypatch):
    monkeypatch.setattr(als, "BLOCK_ELEMENTS", 50)  # several blocks, of rows of different lengths
    rng = np.random.default_rng(0)
    liked = rng.random((13, 17)) < rng.uniform(0.05, 0.7, (13, 1))
    liked[4] = False
    other = rng.normal(size=(17, dim))
    got = als._solve(csr_array(liked.astype(np.float32)), torch.from_numpy(other).float(), 0.2, 0.05)
    np.testing.assert_allclose(got.numpy(), solve_rows(liked, other, 0.2, 0.05), rtol=2e-3, atol=2e-4)


def test_factorisation_lowers_its_objective_with_every_sweep():
    positives = scattered().positives()
    dense = positives.toarray() > 0

    def objective(sweeps):
        users, items = als.factorise(
            positives,
            4,
            unobserved=0.1,
            regularization=0.05,
            sweeps=sweeps,
            generator=torch.Generator().manual_seed(0),
        )
        scores = (users @ items.T).numpy()
        fit = ((1 - scores)[dense] ** 2).sum() + 0.1 * (scores**2).sum()
        counts = [dense.sum(1), dense.sum(0)]
        for side, count, others in ((users, counts[0], len(items)), (items, counts[1], len(users))):
            fit += (0.05 * (count + 0.1 * others) * side.square().sum(1).numpy()).sum()
        return fit

    values = [objective(sweeps) for sweeps in (1, 2, 4, 8)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_lifted_distances_rank_exactly_as_inner_products_do(radius):
    generator = torch.Generator().manual_seed(0)
    users = torch.randn(9, 5, generator=generator, dtype=torch.float64)
    items = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    lifted_users, lifted_items = als.lift(users, items, radius)
    distances = torch.cdist(lifted_users, lifted_items)
    assert torch.equal(distances.argsort(1), (users @ items.T).argsort(1, descending=True))
    assert torch.linalg.vector_norm(lifted_items, dim=1).sub(radius).abs().max() < 1e-6
    assert torch.linalg.vector_norm(lifted_users, dim=1).max() <= radius + 1e-6
    longest = torch.linalg.vector_norm(items, dim=1).max()
    cosine = users @ items.T / (torch.linalg.vector_norm(users, dim=1)[:, None] * longest)
    torch.testing.assert_close(distances.square(), 2 * radius**2 * (1 - cosine))


def test_a_user_without_pairs_starts_at_the_centre():
    lifted, _ = als.lift(torch.zeros(1, 3), torch.ones(2, 3), 1.0)
    assert not lifted.any()


def test_the_start_already_knows_two_tastes():
    train, held_out = two_tastes()
    space = starting_space(train.positives(), ModelConfig(dim=6), np.random.default_rng(0)).space
    distances = torch.cdist(space.users, space.items)
    own = distances[held_out.user_rows, held_out.item_rows]
    foreign = distances[held_out.user_rows, held_out.item_rows ^ 1]  # the neighbour of the other taste
    assert (own < foreign).all()


def test_validation_chooses_the_strength_of_the_start():
    train, _ = two_tastes()
    seen = []

    def judge(space):
        seen.append(space)
        return -abs(len(seen) - 2)  # the second is best

    chosen = starting_space(train.positives(), ModelConfig(dim=4), np.random.default_rng(0), judge)
    assert len(seen) == len(REGULARIZATIONS)
    assert chosen.space is seen[1]
    assert chosen.regularization == REGULARIZATIONS[1]


def test_a_given_strength_is_not_chosen_again():
    train, _ = two_tastes()
    config = ModelConfig(dim=4, regularization=0.3)
    start = starting_space(
        train.positives(), config, np.random.default_rng(0), lambda _: pytest.fail("asked")
    )
    assert start.regularization == 0.3


def test_a_random_start_is_what_is_asked_for():
    positives = scattered().positives()
    spaces = [
        starting_space(positives, ModelConfig(dim=4, start="random"), np.random.default_rng(s))
        for s in (0, 0, 1)
    ]
    assert torch.equal(spaces[0].space.users, spaces[1].space.users)
    assert not torch.equal(spaces[0].space.users, spaces[2].space.users)


def test_items_with_users_in_common_begin_close_together():
    train, _ = two_tastes()
    vectors = als._sketch(csr_array(train.positives()), 6, torch.Generator().manual_seed(0))
    unit = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    cosines = unit @ unit.T
    same = (
        torch.arange(len(unit))[:, None] - torch.arange(len(unit))[None, :]
    ) % 2 == 0  # neighbours differ in taste
    assert cosines[same].min() > cosines[~same].max()

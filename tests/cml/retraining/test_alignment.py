"""Versions that can be compared: turned onto each other, new items among their users, drift in numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cml.data.dataset import Dataset
from cml.retraining.alignment import aligned, rotation_onto
from cml.retraining.past import popularity_shift
from cml.retraining.warm import PRIOR_LIKES, places_of_items
from cml.training.space import Space
from tests.cml.worlds import vocabulary
from tests.reference import retraining as slow


def some(n: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) * 0.2


def test_the_rotation_equals_scipys() -> None:
    points, targets = some(30, 5, 0), some(30, 5, 1)
    rotation = rotation_onto(points, targets)
    expected = slow.rotation_onto(points.double().numpy(), targets.double().numpy())
    np.testing.assert_allclose(rotation.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(5), atol=1e-12)


def test_a_turned_space_comes_back_with_every_distance() -> None:
    users, items = some(20, 4, 0), some(12, 4, 1)
    turn = torch.linalg.qr(some(4, 4, 2))[0]
    space, moved = aligned(Space(users @ turn, items @ turn), torch.arange(8), items[:8])
    torch.testing.assert_close(space.items, items, atol=1e-5, rtol=0)
    torch.testing.assert_close(space.users, users, atol=1e-5, rtol=0)
    assert moved.items == 8
    assert moved.before > 0.1
    assert moved.after < 1e-5


def test_without_a_common_item_nothing_is_turned() -> None:
    space = Space(some(3, 2, 0), some(3, 2, 1))
    same, moved = aligned(space, torch.arange(0), torch.empty(0, 2))
    assert same is space
    assert moved.as_dict() == {"items": 0, "before": 0.0, "after": 0.0}


def test_a_new_item_lies_where_its_users_look() -> None:
    users, prior = some(4, 3, 0), some(1, 3, 1)[0]
    likers = csr_array(np.array([[1.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
    placed = torch.tensor([True, True, True, False])
    places = places_of_items(likers, users, placed, prior, 0.7)
    expected = slow.place_of_item([1.0, 2.0], users[[0, 2]].numpy(), prior.numpy(), PRIOR_LIKES, 0.7)
    np.testing.assert_allclose(places[0], expected, atol=1e-6)
    np.testing.assert_allclose(places[1], prior * 0.7 / prior.norm(), atol=1e-6)


@pytest.mark.parametrize(
    ("before", "after"), [([0, 0, 1, 2], [0, 0, 1, 2]), ([0, 0, 1], [2, 2]), ([0, 1, 1, 1], [0, 0, 1, 2])]
)
def test_the_popularity_shift_equals_its_slow_twin(before: list[int], after: list[int]) -> None:
    one, other = (
        Dataset.from_rows(vocabulary("u", len(items)), vocabulary("i", 3), range(len(items)), items)
        for items in (before, after)
    )
    assert popularity_shift(one, other) == pytest.approx(slow.popularity_shift(before, after))

"""What a retraining starts from: known vectors as they were, new users where the service would have placed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cml.config import RunConfig
from cml.data.dataset import Dataset
from cml.retraining.warm import carry_over
from cml.training.search_space import changed
from cml.vocabulary import Vocabulary
from tests.cml.small_models import content, snapshot

CURRENT = content()
LIKED = [3, 77]  # rows of items that somebody new likes


@pytest.fixture
def data() -> Dataset:
    """Everybody and everything of the version in another order, and somebody new."""
    users = Vocabulary(["new", *reversed(list(CURRENT.users))])
    items = Vocabulary(reversed(list(CURRENT.items)))
    rows = [(users.row(user), number % len(items)) for number, user in enumerate(CURRENT.users)]
    rows += [(users.row("new"), len(items) - 1 - row) for row in LIKED]
    return Dataset.from_rows(users, items, *np.array(rows).T)


def test_known_vectors_stay_and_somebody_new_is_placed_as_the_service_does_it(
    data: Dataset, tmp_path: Path
) -> None:
    carried = carry_over(CURRENT, data, RunConfig.model_validate(CURRENT.config))
    torch.testing.assert_close(carried.space.users[1:].flip(0), torch.from_numpy(CURRENT.user_vectors))
    torch.testing.assert_close(carried.space.items.flip(0), torch.from_numpy(CURRENT.item_vectors))
    assert carried.known_users.tolist() == list(range(1, 41))
    expected = snapshot(tmp_path).fold_in.point(np.array(LIKED))
    np.testing.assert_allclose(carried.space.users[0], expected, atol=1e-5)


@pytest.mark.parametrize("dim", [6, 8, 12])
@pytest.mark.parametrize("radius", [1.0, 2.0])
def test_another_dimension_or_radius_keeps_who_is_near_to_whom(
    data: Dataset, dim: int, radius: float
) -> None:
    config = changed(RunConfig.model_validate(CURRENT.config), "model.dim", dim)
    space = carry_over(CURRENT, data, changed(config, "model.radius", radius)).space
    assert space.users.shape[1] == space.items.shape[1] == dim
    before = torch.cdist(torch.from_numpy(CURRENT.user_vectors), torch.from_numpy(CURRENT.item_vectors))
    after = torch.cdist(space.users[1:].flip(0), space.items.flip(0)) / radius
    if dim >= 8:
        torch.testing.assert_close(after, before, rtol=0, atol=0.03)  # but for the noise in new dimensions
    else:
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.8
    assert float(torch.linalg.vector_norm(space.items, dim=1).max()) <= radius + 1e-5

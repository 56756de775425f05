from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cml.evaluation import ranking
from cml.evaluation.ranking import top_unseen, top_unseen_by
from tests.reference.ranking import slow_squared_distance, slow_top


def a_world(n_users: int, n_items: int, dim: int, seen_share: float, seed: int):
    """Points of very different lengths: the nearest item and the one with the largest product differ."""
    rng = np.random.default_rng(seed)
    users = rng.normal(size=(n_users, dim)).astype(np.float32)
    items = (rng.normal(size=(n_items, dim)) * rng.uniform(0.2, 2, size=(n_items, 1))).astype(np.float32)
    return users, items, csr_array(rng.random((n_users, n_items)) < seen_share, dtype=np.float32)


def slow_lists(users, items, seen, k):
    return [
        slow_top([-slow_squared_distance(user, item) for item in items], set(seen[[row]].indices.tolist()), k)
        for row, user in enumerate(users)
    ]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles so small that a catalogue of a few dozen items has several chunks, each of several groups."""
    monkeypatch.setattr(ranking, "TILE_ITEMS", 30)
    monkeypatch.setattr(ranking, "TILE_USERS", 4)
    monkeypatch.setattr(ranking, "GROUPS_PER_ITEM", 2)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("k", [2, 5, 12, 29, 60, 90])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_nearest_unseen_items_equal_brute_force(k: int, threads: int) -> None:
    users, items, seen = a_world(n_users=11, n_items=83, dim=5, seen_share=0.2, seed=k)
    got = top_unseen(users, items, seen, k, threads=threads)
    assert got.dtype == np.int32
    assert got.tolist() == slow_lists(users, items, seen, k)
    assert len({tuple(line) for line in got.tolist()}) == len(users)  # equal lines would let a mix-up pass


def test_a_catalogue_of_one_tile_equals_brute_force() -> None:
    users, items, seen = a_world(n_users=7, n_items=300, dim=4, seen_share=0.5, seed=1)
    assert top_unseen(users, items, seen, 3).tolist() == slow_lists(users, items, seen, 3)


@pytest.mark.usefixtures("small_tiles")
def test_users_who_saw_nearly_everything_get_short_lists() -> None:
    users, items, seen = a_world(n_users=9, n_items=83, dim=3, seen_share=0.96, seed=2)
    got = top_unseen(users, items, seen, 10)
    assert got.tolist() == slow_lists(users, items, seen, 10)
    assert (got == -1).any()


def test_a_stored_zero_in_seen_counts_as_seen() -> None:
    seen = csr_array((np.zeros(1, np.float32), ([0], [1])), shape=(1, 3))
    points = np.array([[0.0], [0.1], [0.2]], np.float32)
    assert top_unseen(points[:1], points, seen, 3).tolist() == [[0, 2, -1]]


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("k", [1, 4, 20])
def test_ties_go_to_the_lower_row_whatever_the_tiling(k: int) -> None:
    rng = np.random.default_rng(3)
    items = rng.integers(-2, 3, size=(83, 2)).astype(np.float32)  # small integers: every product is exact
    users = rng.integers(-2, 3, size=(9, 2)).astype(np.float32)
    seen = csr_array(rng.random((9, 83)) < 0.2, dtype=np.float32)
    assert top_unseen(users, items, seen, k).tolist() == slow_lists(users, items, seen, k)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("k", [2, 7, 90])
def test_any_score_can_be_ranked(k: int) -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(-3, 4, size=(10, 83)).astype(np.float32)
    scores[scores == 3] = -np.inf
    scores[:, 5] = -0.0
    seen = csr_array(rng.random((10, 83)) < 0.3, dtype=np.float32)
    got = top_unseen_by(lambda block: scores[block].copy(), seen, k, threads=2)
    assert got.tolist() == [
        slow_top(scores[u].tolist(), set(seen[[u]].indices.tolist()), k) for u in range(10)
    ]


def test_tensors_are_ranked_like_arrays_and_need_no_gradient() -> None:
    users, items, seen = a_world(n_users=4, n_items=20, dim=3, seen_share=0.2, seed=5)
    table = torch.from_numpy(items.copy()).requires_grad_()
    assert np.array_equal(
        top_unseen(torch.from_numpy(users), table, seen, 5), top_unseen(users, items, seen, 5)
    )


def test_the_number_of_threads_is_left_as_it_was() -> None:
    users, items, seen = a_world(n_users=4, n_items=20, dim=3, seen_share=0.2, seed=6)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        top_unseen(users, items, seen, 5, threads=3)
        with ThreadPoolExecutor(1) as pool:
            assert [torch.get_num_threads(), pool.submit(torch.get_num_threads).result()] == [2, 2]
    finally:
        torch.set_num_threads(before)


def test_no_users_and_no_items_are_fine() -> None:
    nobody = top_unseen(np.zeros((0, 2), np.float32), np.zeros((3, 2), np.float32), csr_array((0, 3)), 2)
    nothing = top_unseen(np.zeros((2, 2), np.float32), np.zeros((0, 2), np.float32), csr_array((2, 0)), 2)
    assert nobody.shape == (0, 2)
    assert nothing.tolist() == [[-1, -1], [-1, -1]]


def test_a_diverged_model_is_refused() -> None:
    users, items, seen = a_world(n_users=2, n_items=5, dim=3, seen_share=0.0, seed=7)
    items[3, 1] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        top_unseen(users, items, seen, 2)


def test_a_mask_of_the_wrong_shape_is_refused() -> None:
    users, items, _ = a_world(n_users=2, n_items=5, dim=3, seen_share=0.0, seed=8)
    with pytest.raises(ValueError, match="5 x 2 for 2 users and 5 items"):
        top_unseen(users, items, csr_array((5, 2)), 2)

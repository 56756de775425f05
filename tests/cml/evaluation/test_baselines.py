from __future__ import annotations

import numpy as np
import pytest

from cml.data.dataset import Dataset
from cml.evaluation import baselines
from cml.evaluation.baselines import BASELINES, item_item_lists, item_similarity, popularity_lists
from cml.evaluation.evaluate import score
from cml.evaluation.held_out import HeldOut
from tests.cml.worlds import liked_sets, random_pairs
from tests.reference.baselines import slow_item_item_scores, slow_neighbours, slow_popularity
from tests.reference.ranking import slow_top

N_USERS, N_ITEMS = 25, 30


@pytest.fixture
def world() -> tuple[Dataset, HeldOut]:
    """Training pairs of 25 users and 30 items, and what is held out for some of the users."""
    train, test = random_pairs(N_USERS, N_ITEMS, 0.15, 0), random_pairs(N_USERS, N_ITEMS, 0.05, 1)
    seen = train.seen() + random_pairs(N_USERS, N_ITEMS, 0.1, 2).seen()
    held = HeldOut.of(test, train.users, train.items, seen)
    assert 5 < len(held) < N_USERS  # rows of lists and rows of users differ
    return train, held


def seen_sets(held: HeldOut) -> list[set[int]]:
    return [set(held.seen[[row]].indices.tolist()) for row in range(len(held))]


@pytest.mark.parametrize("k", [1, 4, 40])
@pytest.mark.parametrize("cells", [1, 1000])
def test_popularity_lists_equal_the_slow_version(
    world: tuple[Dataset, HeldOut], k: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, held = world
    monkeypatch.setattr(baselines, "_CELLS", cells)
    counts = slow_popularity(liked_sets(train), N_ITEMS)
    assert popularity_lists(train.positives(), held, k).tolist() == [
        slow_top(counts, seen, k) for seen in seen_sets(held)
    ]


@pytest.mark.parametrize("pairs", [1, 1 << 20])
@pytest.mark.parametrize("neighbours", [1, 3, 100])
def test_similarity_keeps_the_nearest_neighbours_of_each_item(
    world: tuple[Dataset, HeldOut], neighbours: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, _ = world
    monkeypatch.setattr(baselines, "_PAIRS", pairs)
    similarity = item_similarity(train.positives(), neighbours)
    for item in range(N_ITEMS):
        row = similarity[[item]]
        expected = slow_neighbours(liked_sets(train), N_ITEMS, item, neighbours)
        assert dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("neighbours", [2, None])
def test_item_item_lists_equal_the_slow_version(
    world: tuple[Dataset, HeldOut], neighbours: int | None
) -> None:
    train, held = world
    liked = liked_sets(train)
    got = item_item_lists(train.positives(), held, 12, neighbours=neighbours)
    for row, user in enumerate(held.user_rows):
        # Rounded, because equal sums of different terms are ties here and not quite there.
        scores = slow_item_item_scores(liked, N_ITEMS, liked[user], neighbours or N_ITEMS)
        best = slow_top(scores, seen_sets(held)[row], 12)
        assert [scores[item] for item in got[row]] == pytest.approx([scores[item] for item in best], abs=1e-6)
        assert not set(got[row].tolist()) & seen_sets(held)[row]


def test_weights_of_pairs_do_not_change_the_baselines(world: tuple[Dataset, HeldOut]) -> None:
    train, held = world
    weighted = train.positives()
    weighted.data = np.linspace(0.1, 9, len(weighted.data), dtype=np.float32)
    for lists in BASELINES.values():
        assert np.array_equal(lists(weighted, held, 5), lists(train.positives(), held, 5))


def test_item_item_finds_the_group_that_popularity_cannot_see() -> None:
    """Two groups of users and items, one liked item of each user held out; each item is equally popular."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(100), 10)
    items = np.concatenate([rng.permutation(20)[:10] + 20 * (user % 2) for user in range(100)])
    whole = Dataset.from_rows(
        *(random_pairs(100, 40, 0, 0).users, random_pairs(100, 40, 0, 0).items), users, items
    )
    held_out = np.arange(len(whole)) % 10 == 0
    train, test = whole.take(~held_out), whole.take(held_out)
    held = HeldOut.of(test, train.users, train.items, train.seen())
    found = {
        name: score(lists(train.positives(), held, 11), held, [11]).metrics()["recall@11"]
        for name, lists in BASELINES.items()
    }
    assert found["item-item"] == 1.0  # the user's group has 11 unseen items
    assert found["popularity"] < 0.6


def test_a_user_without_training_pairs_gets_popular_items() -> None:
    train, test = random_pairs(6, 8, 0.4, 3), random_pairs(6, 8, 0.9, 4)
    train = train.take(train.user_rows != 2)
    held = HeldOut.of(test, train.users, train.items, train.seen())
    row = held.user_rows.tolist().index(2)
    liked = train.positives()
    assert item_item_lists(liked, held, 8)[row].tolist() == popularity_lists(liked, held, 8)[row].tolist()

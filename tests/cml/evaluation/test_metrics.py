from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from cml.evaluation.metrics import METRICS, coverage, hits, user_metrics
from tests.reference.ranking import slow_metrics


def random_lists(seed: int):
    rng = np.random.default_rng(seed)
    n, n_items, k = 40, 30, 12
    rows = np.array([rng.permutation(n_items)[:k] for _ in range(n)], dtype=np.int32)
    rows[::5, 7:] = -1
    dense = rng.random((n, n_items)) < 0.2
    dense[np.arange(n), rng.integers(n_items, size=n)] = True
    return rows, dense, rng.integers(0, 4, size=n)


def test_every_metric_equals_the_slow_version_user_by_user() -> None:
    """Also at lengths beyond the lists' end, where users have more held-out items than a list holds."""
    rows, dense, missing = random_lists(0)
    missing[3] = 20
    ks = (1, 3, 12, 15, 10**12)
    got = user_metrics(hits(rows, csr_array(dense)), dense.sum(1) + missing, ks)
    assert {name.split("@")[0] for name in got} == set(METRICS)
    for k in ks:
        for user, line in enumerate(rows):
            slow = slow_metrics(
                line.tolist(), set(np.flatnonzero(dense[user]).tolist()), int(missing[user]), k
            )
            assert {name: got[name][user] for name in slow} == pytest.approx(slow, abs=1e-12)
    assert len(np.unique(got["ndcg@12"])) > 20


def test_a_list_worked_by_hand() -> None:
    """Hits at ranks 2 and 3, four held-out items of which one is unknown to the model."""
    targets = csr_array(np.array([[0, 1, 0, 1, 0, 1]]))
    got = user_metrics(hits(np.array([[0, 3, 5]], np.int32), targets), np.array([4]), ks=(3,))
    assert {name: value.item() for name, value in got.items()} == pytest.approx(
        {
            "recall@3": 2 / 4,
            "precision@3": 2 / 3,
            "hit_rate@3": 1.0,
            "ndcg@3": (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3) + 1 / np.log2(4)),
            "map@3": (1 / 2 + 2 / 3) / 3,
            "mrr@3": 1 / 2,
        }
    )


def test_padding_never_hits_even_for_the_first_item_of_the_next_user() -> None:
    targets = csr_array(np.array([[0, 0, 1], [1, 0, 0]]))
    assert not hits(np.array([[-1, -1], [-1, 1]], np.int32), targets).any()


def test_a_user_whose_held_out_items_are_all_unknown_scores_zero() -> None:
    got = user_metrics(hits(np.array([[0, 1]], np.int32), csr_array((1, 3))), np.array([2]), ks=(2,))
    assert {value.item() for value in got.values()} == {0.0}


def test_coverage_counts_distinct_listed_items_within_k() -> None:
    rows = np.array([[0, 1, 2], [1, 0, -1]], np.int32)
    assert coverage(rows, 4, 2) == 0.5
    assert coverage(rows, 4, 3) == 0.75

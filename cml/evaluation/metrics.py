"""Ranking metrics, one value a user, from ranked lists and held-out items. Larger is better, all in 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.data.pairs import stored
from cml.errors import ConfigError

METRICS = ("recall", "precision", "hit_rate", "ndcg", "map", "mrr")


def cutoff(name: str) -> int:
    """The k of a metric's name: 10 for `ndcg@10`. Raises ConfigError when there is no such metric."""
    metric, _, k = name.partition("@")
    if metric not in METRICS or not k.isdecimal() or int(k) < 1:
        raise ConfigError(f"metric {name!r} is not one of {', '.join(METRICS)} with a length, like ndcg@10")
    return int(k)


def hits(rows: NDArray[np.int32], targets: csr_array) -> NDArray[np.bool_]:
    """Where the lists hit: (n, k) bool for item rows (n, k), padded with -1, and targets (n, n_items)."""
    return stored(targets, np.arange(len(rows))[:, None], rows)


def user_metrics(
    hit: NDArray[np.bool_], held_out: NDArray[np.int64], ks: Sequence[int]
) -> dict[str, NDArray]:
    """`recall@k` and the other `METRICS` for each k: name -> (n,) float64.

    hit: (n, length) bool, best first; beyond a list's end nothing is a hit. held_out: (n,) counts >= 1 of each
    user's held-out items, those that no list can hold included: they are misses. With h = held_out and hit_r = 1
    where rank r is a hit: recall = hits / h; precision = hits / k; ndcg = DCG / DCG of min(k, h) leading hits,
    gain 1, discount 1 / log2(r + 1); map = sum of precision@r at the hits / min(k, h); mrr = 1 / rank of the
    first hit, or 0.
    """
    length = hit.shape[1]
    deepest = max(length, min(max(ks), int(held_out.max(initial=0))))  # ideal lists may be longer
    ranks = np.arange(1, deepest + 1)
    discounts = 1 / np.log2(ranks + 1)
    found = np.cumsum(hit, axis=1)
    gains = np.cumsum(hit * discounts[:length], axis=1)
    precisions = np.cumsum(hit * (found / ranks[:length]), axis=1)
    ideal = np.cumsum(discounts)
    first = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, np.inf)
    values: dict[str, NDArray] = {}
    for k in ks:
        last, possible = min(k, length) - 1, np.minimum(held_out, k)
        values[f"recall@{k}"] = found[:, last] / held_out
        values[f"precision@{k}"] = found[:, last] / k
        values[f"hit_rate@{k}"] = (found[:, last] > 0).astype(np.float64)
        values[f"ndcg@{k}"] = gains[:, last] / ideal[possible - 1]
        values[f"map@{k}"] = precisions[:, last] / possible
        values[f"mrr@{k}"] = np.where(first <= k, 1 / first, 0.0)
    return values


def coverage(rows: NDArray[np.int32], n_items: int, k: int) -> float:
    """Share of the catalogue that stands in anybody's first k."""
    listed = np.zeros(n_items, dtype=bool)
    first = rows[:, :k]
    listed[first[first >= 0]] = True
    return float(listed.mean()) if n_items else 0.0

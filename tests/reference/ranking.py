"""Ranking and metrics the slow, obvious way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2


def slow_top(scores: Sequence[float], seen: Collection[int], k: int) -> list[int]:
    """The k best unseen rows, larger score first, ties to the lower row, padded with -1."""
    unseen = [row for row in range(len(scores)) if row not in seen and scores[row] != float("-inf")]
    best = sorted(unseen, key=lambda row: (-scores[row], row))[:k]
    return best + [-1] * (k - len(best))


def slow_squared_distance(a: Sequence[float], b: Sequence[float]) -> float:
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def slow_metrics(rows: Sequence[int], targets: Collection[int], missing: int, k: int) -> dict[str, float]:
    """All metrics of one list at one k; `missing` held-out items exist that no list can hold."""
    held_out = len(targets) + missing
    found = 0
    dcg = 0.0
    precision_sum = 0.0
    reciprocal = 0.0
    for rank, row in enumerate(rows[:k], start=1):
        if row in targets:
            found += 1
            dcg += 1 / log2(rank + 1)
            precision_sum += found / rank
            if found == 1:
                reciprocal = 1 / rank
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(k, held_out) + 1))
    return {
        f"recall@{k}": found / held_out,
        f"precision@{k}": found / k,
        f"hit_rate@{k}": 1.0 if found else 0.0,
        f"ndcg@{k}": dcg / ideal,
        f"map@{k}": precision_sum / min(k, held_out),
        f"mrr@{k}": reciprocal,
    }

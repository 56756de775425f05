"""Judge lists on held-out items: full ranking of all unseen items, per-user values, intervals, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cml.errors import DataError
from cml.evaluation.bootstrap import mean_intervals
from cml.evaluation.held_out import HeldOut
from cml.evaluation.metrics import METRICS, coverage, hits, user_metrics
from cml.evaluation.ranking import top_unseen

__all__ = ["Difference", "Evaluation", "HeldOut", "compare", "evaluate", "score"]

_BLOCK = 1 << 15  # users whose hits are held at once


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What lists are worth: `per_user` maps `recall@10` and so on to (n,) values, users as in the HeldOut."""

    per_user: Mapping[str, NDArray[np.float64]]
    coverage: Mapping[str, float]  # `coverage@k`: share of the catalogue in anybody's first k

    def metrics(self) -> dict[str, float]:
        """Means over users, and the coverage."""
        return {name: float(values.mean()) for name, values in self.per_user.items()} | dict(self.coverage)

    def intervals(self, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals over users of all metrics but coverage, which is no mean over users."""
        ends = mean_intervals(np.column_stack(list(self.per_user.values())), rng)
        return {
            name: (float(low), float(high)) for name, (low, high) in zip(self.per_user, ends, strict=True)
        }


@dataclass(frozen=True)
class Difference:
    """Mean of a - b over the same users, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def evaluate(
    user_vectors: NDArray | Tensor,
    item_vectors: NDArray | Tensor,
    held_out: HeldOut,
    ks: Sequence[int],
    *,
    threads: int | None = None,
) -> Evaluation:
    """Rank all unseen items for the held-out users by Euclidean distance and judge the lists at each k.

    user_vectors: (n_users, dim), item_vectors: (n_items, dim), rows as in `held_out`. Raises DataError when
    there is nobody to rank for.
    """
    rows, k = user_vectors[held_out.user_rows], longest_list(ks, held_out)
    return score(top_unseen(rows, item_vectors, held_out.seen, k, threads=threads), held_out, ks)


def longest_list(ks: Sequence[int], held_out: HeldOut) -> int:
    """How long lists have to be to judge them at each k: no longer than the catalogue."""
    return min(max(ks), held_out.targets.shape[1])


def score(rows: NDArray[np.int32], held_out: HeldOut, ks: Sequence[int]) -> Evaluation:
    """Judge lists (n, at least `longest_list`) of item rows, -1 padded, one for each user of `held_out`."""
    if not len(held_out):
        raise DataError(
            f"nobody to evaluate on: {held_out.unknown_users:,} held-out users are unknown to the model and "
            f"{held_out.already_seen:,} held-out pairs were seen before; check that the files are right"
        )
    ks = sorted(set(ks))
    counts = held_out.counts
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(held_out), _BLOCK)]
    parts = [user_metrics(hits(rows[block], held_out.targets[block]), counts[block], ks) for block in blocks]
    return Evaluation(
        per_user={
            f"{name}@{k}": np.concatenate([part[f"{name}@{k}"] for part in parts])
            for name in METRICS
            for k in ks
        },
        coverage={f"coverage@{k}": coverage(rows, held_out.targets.shape[1], k) for k in ks},
    )


def compare(a: Evaluation, b: Evaluation, rng: np.random.Generator) -> dict[str, Difference]:
    """a - b for each metric, user by user: far sharper than comparing two intervals.

    Both must come from the same users in the same order.
    """
    differences = np.column_stack([a.per_user[name] - b.per_user[name] for name in a.per_user])
    ends = mean_intervals(differences, rng)
    return {
        name: Difference(float(mean), float(low), float(high))
        for name, mean, (low, high) in zip(a.per_user, differences.mean(axis=0), ends, strict=True)
    }

"""The gate before publication: is the candidate not worse than the version that answers now?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.artifact import Artifact
from cml.bootstrap import mean_intervals
from cml.config import PublishConfig
from cml.dataset import Dataset
from cml.errors import QualityGateError
from cml.evaluation import evaluate
from cml.held_out import HeldOut, rows_over
from cml.judging import seen_pairs
from cml.metrics import cutoff
from cml.pairs import pair_matrix, stored


@dataclass(frozen=True)
class Verdict:
    """Both models' mean of one metric over the same users, the difference with its 95 % interval."""

    accepted: bool
    reason: str  # one sentence for a person
    metric: str
    tolerance: float  # relative
    users: int
    candidate: float
    current: float
    difference: float  # candidate - current
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; null where there was nothing to measure."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in vars(self).items()
        }

    def require(self) -> None:
        """Raise QualityGateError with the reason unless the candidate was accepted."""
        if not self.accepted:
            raise QualityGateError(f"not published: {self.reason}")


def decide(
    candidate: Artifact,
    current: Artifact,
    held_out: Dataset,
    rule: PublishConfig,
    rng: np.random.Generator,
    *,
    threads: int | None = None,
) -> Verdict:
    """Judge both models on the liked pairs of `held_out` that neither has seen, over its ids.

    A user or an item that one of them does not know is a miss for that one. What either has seen stays out of
    both models' lists. The candidate is refused when the metric's mean falls by more than the tolerance and
    the fall is clear, that is, the interval of the paired difference lies below zero; and when there is
    nothing to judge on.
    """
    fresh = held_out.take(held_out.liked & ~(_seen_by(candidate, held_out) | _seen_by(current, held_out)))
    users = np.unique(fresh.user_rows)
    if not len(users):
        return _nothing_to_judge_on(len(held_out), rule)
    values = [
        _values(model, other, fresh, rule.metric, threads)[users]
        for model, other in ((candidate, current), (current, candidate))
    ]
    return _verdict(values[0], values[1], rule, rng)


def _verdict(
    candidate: NDArray[np.float64],
    current: NDArray[np.float64],
    rule: PublishConfig,
    rng: np.random.Generator,
) -> Verdict:
    """The verdict on two models' values (n,) for the same users."""
    low, high = mean_intervals((candidate - current)[:, None], rng)[0].tolist()
    before, after = float(current.mean()), float(candidate.mean())
    too_low = after < before * (1 - rule.tolerance)
    if not too_low:
        outcome = "not worse"
    elif high >= 0:
        outcome = "lower, but not clearly so"
    else:
        outcome = f"worse by more than {rule.tolerance:.1%}"
    return Verdict(
        accepted=not too_low or high >= 0,
        reason=f"{outcome}: {rule.metric} {after:.4f} after {before:.4f} on {len(current):,} users "
        f"(difference {after - before:+.4f}, 95 % interval {low:+.4f} to {high:+.4f})",
        metric=rule.metric,
        tolerance=rule.tolerance,
        users=len(current),
        candidate=after,
        current=before,
        difference=after - before,
        low=low,
        high=high,
    )


def _nothing_to_judge_on(n_pairs: int, rule: PublishConfig) -> Verdict:
    nan = float("nan")
    reason = (
        f"nothing to judge on: of {n_pairs:,} held-out pairs none is liked and unseen by both models; "
        "hand in pairs that the current version was not trained on"
    )
    return Verdict(False, reason, rule.metric, rule.tolerance, 0, nan, nan, nan, nan, nan)


def _values(
    model: Artifact, other: Artifact, fresh: Dataset, metric: str, threads: int | None
) -> NDArray[np.float64]:
    """The model's metric for each user of the data set (n_users,), 0 for one it does not know."""
    seen = csr_array(seen_pairs(model) + _pairs_over(model, other))
    held = HeldOut.of(fresh, model.users, model.items, seen)
    values = np.zeros(fresh.n_users)
    if len(held):
        found = evaluate(model.user_vectors, model.item_vectors, held, (cutoff(metric),), threads=threads)
        values[held.source_rows] = found.per_user[metric]
    return values


def _pairs_over(model: Artifact, other: Artifact) -> csr_array:
    """What `other` has seen, over the rows of `model`."""
    pairs = seen_pairs(other).tocoo()
    users = rows_over(model.users, other.users)[pairs.row]
    items = rows_over(model.items, other.items)[pairs.col]
    known = (users >= 0) & (items >= 0)
    return pair_matrix(users[known], items[known], (len(model.users), len(model.items)))


def _seen_by(model: Artifact, pairs: Dataset) -> NDArray[np.bool_]:
    """Which pairs of the data set the model has seen, (len(pairs),)."""
    users = rows_over(model.users, pairs.users)[pairs.user_rows]
    items = rows_over(model.items, pairs.items)[pairs.item_rows]
    return (users >= 0) & stored(seen_pairs(model), users, items)

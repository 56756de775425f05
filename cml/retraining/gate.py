"""The gate before publication: is the candidate no worse than the version that answers now?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.config import PublishConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.data.pairs import pair_matrix, stored
from cml.errors import QualityGateError
from cml.evaluation.baselines import popularity_lists
from cml.evaluation.bootstrap import mean_intervals
from cml.evaluation.evaluate import evaluate, score
from cml.evaluation.held_out import HeldOut, rows_over
from cml.evaluation.judging import BASELINES, Baseline, liked_pairs, seen_pairs
from cml.evaluation.metrics import cutoff
from cml.retraining.past import CURRENT_VERSION


@dataclass(frozen=True)
class Verdict:
    """Means of one metric over the same users, the difference with its interval, and what follows."""

    accepted: bool
    reason: str  # one sentence for a person
    against: str  # "current version", or "popularity" where that one cannot be compared with
    metric: str
    tolerance: float  # relative
    users: int
    candidate: float
    other: float
    difference: float  # candidate - other
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; null where there was nothing to measure."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """The verdict behind `as_dict()`."""
        nan = float("nan")
        fields: dict[str, Any] = {name: nan if value is None else value for name, value in values.items()}
        return cls(**fields)

    def require(self) -> None:
        """Raise QualityGateError with the reason unless the candidate was accepted."""
        if not self.accepted:
            raise QualityGateError(f"not published: {self.reason}")


def decide(
    candidate: Content,
    current: Content | None,
    held_out: Dataset,
    rule: PublishConfig,
    rng: np.random.Generator,
    *,
    threads: int | None = None,
) -> Verdict:
    """Judge both models on the liked pairs of `held_out` that neither has seen, over its ids.

    A user or an item that one of them does not know is a miss for that one. What either has seen stays out of
    both models' lists. Where there is no current version, or it has seen every held-out pair, popularity takes
    its place. The candidate is refused when the metric's mean is lower by more than the tolerance and clearly
    so, that is, the interval of the paired difference lies below zero; and when there is nothing to judge on.
    """
    judge = partial(_values, metric=rule.metric, threads=threads)
    fresh = held_out.take(held_out.liked & ~seen_by(candidate, held_out))
    if current is not None:
        common = fresh.take(~seen_by(current, fresh))
        if len(common):
            values = judge(candidate, current, common), judge(current, candidate, common)
            return _verdict(*values, common, CURRENT_VERSION, rule, rng)
    if not len(fresh):
        return _nothing_to_judge_on(len(held_out), rule)
    values = (
        judge(candidate, candidate, fresh),
        _values_of_lists(candidate, fresh, rule.metric, popularity_lists),
    )
    return _verdict(*values, fresh, "popularity", rule, rng)


def _verdict(
    candidate: NDArray[np.float64],
    other: NDArray[np.float64],
    judged: Dataset,
    against: str,
    rule: PublishConfig,
    rng: np.random.Generator,
) -> Verdict:
    """The verdict on two models' values (n_users,), of which those with a judged pair count."""
    users = np.unique(judged.user_rows)
    candidate, other = candidate[users], other[users]
    low, high = mean_intervals((candidate - other)[:, None], rng, level=rule.confidence)[0].tolist()
    own, its = float(candidate.mean()), float(other.mean())
    too_low = own < its * (1 - rule.tolerance)
    if not too_low:
        outcome = "not worse"
    elif high >= 0:
        outcome = "lower, but not clearly so"
    else:
        outcome = f"worse by more than {rule.tolerance:.1%}"
    return Verdict(
        accepted=not too_low or high >= 0,
        reason=f"{outcome}: {rule.metric} {own:.4f}, {against} {its:.4f} on {len(users):,} users "
        f"(difference {own - its:+.4f}, {rule.confidence * 100:g} % interval {low:+.4f} to {high:+.4f})",
        against=against,
        metric=rule.metric,
        tolerance=rule.tolerance,
        users=len(users),
        candidate=own,
        other=its,
        difference=own - its,
        low=low,
        high=high,
    )


def _nothing_to_judge_on(n_pairs: int, rule: PublishConfig) -> Verdict:
    nan = float("nan")
    reason = (
        f"nothing to judge on: of {n_pairs:,} held-out pairs none is liked and new to the candidate; "
        "hand in pairs that it was not trained on"
    )
    return Verdict(False, reason, "nothing", rule.metric, rule.tolerance, 0, nan, nan, nan, nan, nan)


def means_of_baselines(
    candidate: Content, judged: Dataset, metric: str, lists: Mapping[str, Baseline] = BASELINES
) -> dict[str, float]:
    """What simple rules reach on the judged pairs with the candidate's training pairs: means of the metric."""
    users = np.unique(judged.user_rows)
    return {
        name: float(_values_of_lists(candidate, judged, metric, rule)[users].mean())
        for name, rule in lists.items()
        if len(users)
    }


def _values_of_lists(candidate: Content, fresh: Dataset, metric: str, rule: Baseline) -> NDArray[np.float64]:
    """A baseline's metric for each user of the data set (n_users,), from the candidate's training pairs."""
    held = HeldOut.of(fresh, candidate.users, candidate.items, seen_pairs(candidate))
    values, k = np.zeros(fresh.n_users), cutoff(metric)
    if len(held):
        lists = rule(liked_pairs(candidate), held, k)
        values[held.source_rows] = score(lists, held, (k,)).per_user[metric]
    return values


def _values(
    model: Content, other: Content, fresh: Dataset, *, metric: str, threads: int | None
) -> NDArray[np.float64]:
    """The model's metric for each user of the data set (n_users,), 0 for one it does not know."""
    seen = seen_pairs(model)
    if other is not model:
        seen = csr_array(seen + _pairs_over(model, other))
    held = HeldOut.of(fresh, model.users, model.items, seen)
    values = np.zeros(fresh.n_users)
    if len(held):
        found = evaluate(model.user_vectors, model.item_vectors, held, (cutoff(metric),), threads=threads)
        values[held.source_rows] = found.per_user[metric]
    return values


def _pairs_over(model: Content, other: Content) -> csr_array:
    """What `other` has seen, over the rows of `model`."""
    pairs = seen_pairs(other).tocoo()
    users = rows_over(model.users, other.users)[pairs.row]
    items = rows_over(model.items, other.items)[pairs.col]
    known = (users >= 0) & (items >= 0)
    return pair_matrix(users[known], items[known], (len(model.users), len(model.items)))


def seen_by(model: Content, pairs: Dataset) -> NDArray[np.bool_]:
    """Which pairs of the data set the model has seen, (len(pairs),)."""
    users = rows_over(model.users, pairs.users)[pairs.user_rows]
    items = rows_over(model.items, pairs.items)[pairs.item_rows]
    return (users >= 0) & stored(seen_pairs(model), users, items)

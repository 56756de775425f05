"""Items without a single interaction, judged: placed by their features, beside what needs no learning.

Rows of tags are tf-idf rows: a tag counts log((1 + n) / (1 + its items)) + 1, over the n items of training,
and a row has length 1. An item without a known tag has a row of zeros: it lies at the mean of the items, and its
similarity to everything is 0. It stays in every list and among the targets of every method alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.evaluation.evaluate import Difference, Evaluation, HeldOut, compare, longest_list, score
from cml.evaluation.ranking import top_unseen_by
from cml.training.features import as_rows, linear_extractor

PENALTY = 1.0  # of the ridge regression, in squared lengths of a row of features
MODEL = "placed"
AMONG = ("all", "cold")

Scores = Callable[[slice], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The baseline that needs no learning: the sum of the cosines between an item and what the user liked.

    rows: (n_items, columns) of length 1, or 0 for an item of which nothing is known.
    """

    name: str
    rows: csr_array


@dataclass(frozen=True, eq=False)
class ColdReport:
    """Every method's evaluation among all items and among the cold ones alone, with intervals."""

    n_cold: int
    without_features: int  # of the cold items
    users: int
    evaluations: Mapping[str, Mapping[str, Evaluation]]  # "all" or "cold" -> method -> evaluation
    intervals: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]
    differences: Mapping[str, Mapping[str, Mapping[str, Difference]]]  # placed - method
    notes: tuple[str, ...] = ()  # baselines that are not the usual ones, and why

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "cold_items": self.n_cold,
            "without_features": self.without_features,
            "users": self.users,
            "notes": list(self.notes),
            **{
                among: {
                    name: {
                        "metrics": found.metrics(),
                        "intervals": {k: list(v) for k, v in self.intervals[among][name].items()},
                        "difference": {
                            k: [d.mean, d.low, d.high]
                            for k, d in self.differences[among].get(name, {}).items()
                        },
                    }
                    for name, found in methods.items()
                }
                for among, methods in self.evaluations.items()
            },
        }

    def text(self, k: int) -> str:
        """One line a method: recall and nDCG at k with intervals, among all items, then among the cold."""
        lines = []
        for among, methods in self.evaluations.items():
            lines.append(f"ranked among {'all unseen items' if among == 'all' else 'the cold items alone'}")
            for name, found in methods.items():
                lines.append(
                    f"  {name:<12}"
                    + "".join(self._cell(among, name, found, f"{m}@{k}") for m in ("recall", "ndcg"))
                )
        lines.append(
            f"{self.users:,} users, {self.n_cold:,} cold items, {self.without_features:,} of them without features"
        )
        lines += [f"note: {note}" for note in self.notes]
        lines.append("* the 95 % interval of the difference to `placed`, user by user, leaves out zero")
        return "\n".join(lines)

    def _cell(self, among: str, name: str, found: Evaluation, metric: str) -> str:
        low, high = self.intervals[among][name][metric]
        difference = self.differences[among].get(name, {}).get(metric)
        mark = "*" if difference and difference.clear else " "
        return f"  {metric} {found.metrics()[metric]:.4f}{mark} [{low:.4f}, {high:.4f}]"


def tfidf_rows(tags: csr_array, learned_from: NDArray[np.bool_]) -> csr_array:
    """Rows of length 1, or 0 without a known tag: (n_items, tags that training's items have) float32.

    tags: (n_items, n_tags), any stored entry counts once. learned_from: (n_items,), the items of training.
    """
    ones = csr_array((np.ones(tags.nnz), tags.indices, tags.indptr), shape=tags.shape)
    counts: NDArray[np.float64] = np.asarray(ones[learned_from].sum(axis=0)).ravel()
    known = counts > 0
    idf = np.log((1 + learned_from.sum()) / (1 + counts[known])) + 1
    return unit_length(csr_array(ones[:, known] * idf))


def unit_length(rows: csr_array) -> csr_array:
    """Rows of length 1 in the same directions, float32; those of zeros stay."""
    lengths = np.sqrt(np.asarray((rows * rows).sum(axis=1)).ravel())
    return csr_array(rows / np.maximum(lengths, 1e-12)[:, None]).astype(np.float32)


def place(
    rows: csr_array, warm: NDArray[np.int64], vectors: NDArray, *, penalty: float = PENALTY
) -> NDArray[np.float32]:
    """Where ridge regression from the warm items' features puts every item: (n_items, dim).

    vectors: (len(warm), dim), the places of the warm items. The mean is not shrunk, so an item without
    features lies in its direction. Places take the mean length of the warm vectors: a regression shrinks, and
    a short vector is near to everybody.
    """
    return linear_extractor(csr_array(rows[warm]), vectors.astype(np.float32), penalty)(as_rows(rows))


def judge_cold(
    users: NDArray,
    places: NDArray,
    nearest: Sequence[Nearest],
    liked: csr_array,
    held_out: HeldOut,
    cold: NDArray[np.bool_],
    ks: Sequence[int],
    rng: np.random.Generator,
    *,
    without_features: int = 0,
    notes: tuple[str, ...] = (),
) -> ColdReport:
    """Rank the cold items' held-out pairs by each method, among all unseen items and among the cold alone.

    users: (n_users, dim). places: (n_items, dim), warm items where training put them. nearest: baselines
    beside random and popularity. liked: (n_users, n_items), training's pairs. cold: (n_items,). without_features:
    how many of the cold items have none. notes: what the reader has to know of the baselines.
    """
    methods = _methods(users[held_out.user_rows], places, nearest, liked, held_out, rng)
    k = longest_list(ks, held_out)
    evaluations: dict[str, dict[str, Evaluation]] = {}
    for among in AMONG:
        barred = np.zeros(len(cold), np.float32) if among == "all" else np.where(cold, 0, -np.inf)
        evaluations[among] = {
            name: score(_ranked(make, barred, held_out, k), held_out, ks)
            for name, make in methods.items()
            if not (among == "cold" and name == "popularity")  # nobody has met them: it has no order
        }
    return ColdReport(
        n_cold=int(cold.sum()),
        without_features=without_features,
        users=len(held_out),
        evaluations=evaluations,
        intervals={a: {n: e.intervals(rng) for n, e in found.items()} for a, found in evaluations.items()},
        differences={
            a: {n: compare(found[MODEL], e, rng) for n, e in found.items() if n != MODEL}
            for a, found in evaluations.items()
        },
        notes=notes,
    )


def _methods(
    users: NDArray,
    places: NDArray,
    nearest: Sequence[Nearest],
    liked: csr_array,
    held_out: HeldOut,
    rng: np.random.Generator,
) -> dict[str, Scores]:
    popular = np.asarray(liked.astype(bool).sum(axis=0)).ravel().astype(np.float32)
    halves = (places**2).sum(axis=1) / 2
    seed = int(rng.integers(2**62))

    def random(block: slice) -> NDArray[np.float32]:
        shape = (len(users[block]), len(places))
        return np.random.default_rng([seed, block.start or 0]).random(shape, dtype=np.float32)

    return {
        "random": random,
        "popularity": lambda block: np.tile(popular, (len(users[block]), 1)),
        **{each.name: _cosines(each.rows, liked, held_out) for each in nearest},
        MODEL: lambda block: (users[block] @ places.T - halves).astype(np.float32),
    }


def _cosines(rows: csr_array, liked: csr_array, held_out: HeldOut) -> Scores:
    own = csr_array(liked[held_out.user_rows] @ rows)  # sums of the features of what each user likes
    return lambda block: (own[block] @ rows.T).toarray().astype(np.float32)


def _ranked(make: Scores, barred: NDArray, held_out: HeldOut, k: int) -> NDArray[np.int32]:
    return top_unseen_by(lambda block: (make(block) + barred).astype(np.float32), held_out.seen, k)

"""From rows to pairs: what happens to a pair that stands in several rows, and to rare users and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["last", "first", "max", "sum"]


@dataclass(frozen=True)
class Rows:
    """Interactions in file order: aligned arrays."""

    user_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    ratings: NDArray[np.float32]  # NaN where missing
    weights: NDArray[np.float32]
    timestamps: NDArray[np.float64]  # NaN where missing

    def __len__(self) -> int:
        return len(self.user_rows)

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Several pieces in one, in their order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, selection: NDArray) -> Rows:
        """The rows that a mask or an array of positions selects."""
        return Rows(*(getattr(self, f.name)[selection] for f in fields(self)))


def merge(rows: Rows, rule: Rule) -> Rows:
    """One row for each pair, in file order of the rows that survive.

    last, first: the row with the latest or earliest timestamp, a missing one counting as earliest and file
    order deciding ties. max: the row with the highest rating, the latest of equals. sum: the latest row,
    with the sum of all ratings and of all weights (for counts such as plays or purchases).
    """
    pairs = rows.user_rows.astype(np.int64) * (int(rows.item_rows.max(initial=0)) + 1) + rows.item_rows
    repeated = _repeated(pairs)
    if not len(repeated):
        return rows
    order = repeated[_by_pair(rows.take(repeated), pairs[repeated], rule)]
    starts = np.flatnonzero(np.r_[True, pairs[order[1:]] != pairs[order[:-1]]])
    ends = np.r_[starts[1:], len(order)] - 1
    survivors = order[starts if rule == "first" else ends]
    if rule == "sum":
        rows = _summed(rows, order, starts, survivors)
    keep = np.ones(len(rows), dtype=bool)
    keep[repeated] = False
    keep[survivors] = True
    return rows.take(keep)


def frequent(
    user_rows: NDArray[np.int32], item_rows: NDArray[np.int32], *, min_user: int, min_item: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Users and items to keep, as masks over rows, judged by the liked pairs given.

    Dropping a rare item may make a user rare and so on; what remains is the largest set in which every user
    has `min_user` pairs and every item `min_item`, whichever is dropped first.
    """
    n_users, n_items = int(user_rows.max(initial=-1)) + 1, int(item_rows.max(initial=-1)) + 1
    while True:
        users = np.bincount(user_rows, minlength=n_users) >= min_user
        items = np.bincount(item_rows, minlength=n_items) >= min_item
        stay = users[user_rows] & items[item_rows]
        if stay.all():
            return users, items
        user_rows, item_rows = user_rows[stay], item_rows[stay]


def _repeated(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of all rows whose pair stands in more than one row; quick where there are none."""
    ordered = np.sort(pairs)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return np.empty(0, dtype=np.int64)
    at = np.minimum(np.searchsorted(twice, pairs), len(twice) - 1)
    return np.flatnonzero(twice[at] == pairs)


def _by_pair(rows: Rows, pairs: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
    """An order that groups equal pairs, the latest (or for "max" the best) last in each group."""
    times = np.nan_to_num(rows.timestamps, nan=-np.inf)
    if rule == "max":
        ratings = np.where(np.isnan(rows.ratings), -np.inf, rows.ratings)
        return np.lexsort((times, ratings, pairs))  # stable: file order decides last
    return np.lexsort((times, pairs))


def _summed(rows: Rows, order: NDArray, starts: NDArray, survivors: NDArray) -> Rows:
    ratings, weights = rows.ratings.copy(), rows.weights.copy()
    known = np.nan_to_num(rows.ratings[order].astype(np.float64))
    any_known = np.add.reduceat(~np.isnan(rows.ratings[order]), starts) > 0
    ratings[survivors] = np.where(any_known, np.add.reduceat(known, starts), np.nan)
    weights[survivors] = np.add.reduceat(rows.weights[order].astype(np.float64), starts)
    return replace(rows, ratings=ratings, weights=weights)

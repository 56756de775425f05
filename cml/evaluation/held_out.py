"""Held-out pairs seen from a model: whom to rank for, what would be a hit, and what it cannot know."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.data.dataset import Dataset
from cml.data.pairs import pair_matrix, stored
from cml.vocabulary import UNKNOWN_ROW, Vocabulary


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The users that a model can be judged on, n of them by ascending row, and their held-out items.

    A held-out item that the model does not know is a miss: no list can hold it, and it counts in every
    denominator. A user that the model does not know is counted and not ranked for. A pair that the model has
    seen is not held out: it is no target, and it is counted.
    """

    user_rows: NDArray[np.int64]  # (n,) in the model
    source_rows: NDArray[np.int64]  # (n,) the same users in the data set that holds the pairs
    seen: csr_array  # (n, n_items): never in a list
    targets: csr_array  # (n, n_items): the hits
    missing: NDArray[np.int64]  # (n,) held-out items that the model does not know
    unknown_users: int
    unknown_items: int
    already_seen: int

    @classmethod
    def of(cls, dataset: Dataset, users: Vocabulary, items: Vocabulary, seen: csr_array) -> HeldOut:
        """The liked pairs of `dataset` for a model over `users` and `items`; seen: (n_users, n_items)."""
        pairs = dataset.take(dataset.liked)
        user_rows = rows_over(users, pairs.users)[pairs.user_rows]
        item_rows = rows_over(items, pairs.items)[pairs.item_rows]
        knows_user, knows_item = user_rows != UNKNOWN_ROW, item_rows != UNKNOWN_ROW
        known = knows_user & knows_item
        old = known.copy()
        old[known] = stored(seen, user_rows[known], item_rows[known])
        counted = knows_user & ~old
        ranked, first, place = np.unique(user_rows[counted], return_index=True, return_inverse=True)
        hit = knows_item[counted]
        return cls(
            user_rows=ranked,
            source_rows=pairs.user_rows[counted][first].astype(np.int64),
            seen=seen[ranked],
            targets=pair_matrix(place[hit], item_rows[counted][hit], (len(ranked), len(items))),
            missing=np.bincount(place[~hit], minlength=len(ranked)),
            unknown_users=len(np.unique(pairs.user_rows[~knows_user])),
            unknown_items=len(np.unique(pairs.item_rows[~knows_item])),
            already_seen=int(old.sum()),
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, rows: NDArray[np.int64]) -> HeldOut:
        """Some of the users, by position here; what was counted of the others stays counted."""
        return replace(
            self,
            **{
                name: getattr(self, name)[rows]
                for name in ("user_rows", "source_rows", "seen", "targets", "missing")
            },
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """Held-out items of each user, at least 1, those that the model does not know included: (n,)."""
        return np.diff(self.targets.indptr) + self.missing


def rows_over(vocabulary: Vocabulary, other: Vocabulary) -> NDArray[np.int64]:
    """For each id of `other` its row in `vocabulary`, `UNKNOWN_ROW` where it has none."""
    if not _begins_with(other, vocabulary):
        return vocabulary.rows(other)
    rows = np.arange(len(other), dtype=np.int64)
    rows[len(vocabulary) :] = UNKNOWN_ROW
    return rows


def _begins_with(long: Vocabulary, short: Vocabulary) -> bool:
    """Whether `long` is `short` and maybe more: the usual case, found without looking up a million ids."""
    if long is short:
        return True
    a, b = long.arrays(), short.arrays()
    return np.array_equal(a["offsets"][: len(short) + 1], b["offsets"]) and np.array_equal(
        a["bytes"][: len(b["bytes"])], b["bytes"]
    )

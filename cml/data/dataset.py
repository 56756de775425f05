"""Interactions as arrays over two vocabularies: what every stage from splitting to evaluation works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.errors import DataError
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

COLUMNS = ("user_rows", "item_rows", "liked", "disliked", "weights", "timestamps")


@dataclass(frozen=True, eq=False)
class Dataset:
    """One row per (user, item) pair that ever interacted; the arrays are aligned and of length `len(self)`.

    `liked` pairs are the positives. `disliked` pairs are explicit negatives. A pair that is neither was
    merely seen: it is not recommended again, and it is neither trained towards nor away from.
    """

    users: Vocabulary
    items: Vocabulary
    user_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    liked: NDArray[np.bool_]
    disliked: NDArray[np.bool_]
    weights: NDArray[np.float32]
    timestamps: NDArray[np.float64]  # seconds since 1970, NaN where unknown

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) != 1:
            raise DataError(f"columns of different lengths: {lengths}")
        if np.any(self.liked & self.disliked):
            raise DataError("a pair cannot be both liked and disliked")

    @classmethod
    def from_rows(
        cls,
        users: Vocabulary,
        items: Vocabulary,
        user_rows: NDArray,
        item_rows: NDArray,
        *,
        liked: NDArray | None = None,
        disliked: NDArray | None = None,
        weights: NDArray | None = None,
        timestamps: NDArray | None = None,
    ) -> Dataset:
        """A data set with the usual defaults: every pair liked, weight 1, time unknown."""
        n = len(user_rows)
        if disliked is None:
            disliked = np.zeros(n, dtype=bool)
        return cls(
            users=users,
            items=items,
            user_rows=np.asarray(user_rows, dtype=np.int32),
            item_rows=np.asarray(item_rows, dtype=np.int32),
            liked=~disliked if liked is None else np.asarray(liked, dtype=bool),
            disliked=np.asarray(disliked, dtype=bool),
            weights=np.ones(n, dtype=np.float32)
            if weights is None
            else np.asarray(weights, dtype=np.float32),
            timestamps=np.full(n, np.nan) if timestamps is None else np.asarray(timestamps, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def positives(self) -> csr_array:
        """Weights of the liked pairs, (n_users, n_items) float32, columns sorted in each row."""
        return self._matrix(self.liked, self.weights)

    def dislikes(self) -> csr_array:
        """Weights of the disliked pairs, (n_users, n_items) float32, columns sorted in each row."""
        return self._matrix(self.disliked, self.weights)

    def seen(self) -> csr_array:
        """1 for every pair that interacted in any way, (n_users, n_items) float32, columns sorted in each row."""
        return self._matrix(np.ones(len(self), dtype=bool), np.ones(len(self), dtype=np.float32))

    def take(self, selection: NDArray) -> Dataset:
        """The pairs that a mask or an array of positions selects, over the same vocabularies."""
        return replace(
            self,
            **{name: getattr(self, name)[selection] for name in COLUMNS},
        )

    def joined(self, other: Dataset) -> Dataset:
        """The pairs of both, over shared vocabularies; a pair that stands in both keeps its row of this one."""
        if self.users is not other.users or self.items is not other.items:
            raise ValueError("the data sets do not share their vocabularies; read them together")
        added = other.take(~np.isin(other._keys(), self._keys()))
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(added, name)]) for name in COLUMNS
        }
        return replace(self, **columns)

    def compact(self) -> Dataset:
        """The same pairs over vocabularies that hold only the ids in use, in their old order."""
        users, user_rows = np.unique(self.user_rows, return_inverse=True)
        items, item_rows = np.unique(self.item_rows, return_inverse=True)
        return replace(
            self,
            users=Vocabulary(self.users[row] for row in users),
            items=Vocabulary(self.items[row] for row in items),
            user_rows=user_rows.astype(np.int32),
            item_rows=item_rows.astype(np.int32),
        )

    def over(self, users: Vocabulary, items: Vocabulary) -> Dataset:
        """The pairs whose user and item both stand in the given vocabularies, re-expressed over them."""
        user_rows = users.rows(self.users)[self.user_rows]
        item_rows = items.rows(self.items)[self.item_rows]
        known = (user_rows != UNKNOWN_ROW) & (item_rows != UNKNOWN_ROW)
        moved = replace(
            self,
            users=users,
            items=items,
            user_rows=user_rows.astype(np.int32),
            item_rows=item_rows.astype(np.int32),
        )
        return moved.take(known)

    def fingerprint(self) -> str:
        """SHA-256 over ids and columns: equal data in equal order has an equal fingerprint."""
        digest = hashlib.sha256()
        for vocabulary in (self.users, self.items):
            for name in ("bytes", "offsets"):
                digest.update(np.ascontiguousarray(vocabulary.arrays()[name]).tobytes())
        for column in (
            self.user_rows,
            self.item_rows,
            self.liked,
            self.disliked,
            self.weights,
            self.timestamps,
        ):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def _keys(self) -> NDArray[np.int64]:
        return self.user_rows.astype(np.int64) * self.n_items + self.item_rows

    def _matrix(self, selected: NDArray[np.bool_], values: NDArray[np.float32]) -> csr_array:
        matrix = csr_array(
            (values[selected], (self.user_rows[selected], self.item_rows[selected])),
            shape=(self.n_users, self.n_items),
        )
        matrix.sum_duplicates()
        matrix.sort_indices()
        return matrix

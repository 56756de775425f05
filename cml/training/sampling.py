"""Batches and negatives: which pairs a step learns from, and which items they are compared with.

An item that the user has interacted with is never a negative, unless the user dislikes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@dataclass(frozen=True)
class Batch:
    """Positives of one step, gathered by user so that each user's distances are computed once."""

    users: NDArray[np.int64]  # (n,) distinct user rows
    owner: NDArray[np.int64]  # (batch,) position in `users` of each positive's user
    liked: NDArray[np.int64]  # (batch,) item rows
    weights: NDArray[np.float32]  # (batch,) interaction weights


@dataclass(frozen=True)
class Negatives:
    """Items that positives are compared with: one shared pool, or a row of draws for each positive.

    `items` is (pool,) when shared by all users of the batch, else (batch, draws). `masked_rows` and
    `masked_columns` name the entries that must not be used; rows are users of the batch when shared, else
    positives. `n_eligible` counts, for each such row, the catalogue's items that are negatives of the user.
    """

    items: NDArray[np.int64]
    masked_rows: NDArray[np.int64]
    masked_columns: NDArray[np.int64]
    n_eligible: NDArray[np.int64]

    @property
    def shared(self) -> bool:
        return self.items.ndim == 1


class Interacted:
    """What each user must not be shown as a negative: seen pairs without the disliked ones."""

    def __init__(self, seen: csr_array, dislikes: csr_array) -> None:
        protected = seen - seen.multiply(dislikes != 0)
        protected.eliminate_zeros()
        protected.sort_indices()
        self.n_users, self.n_items = protected.shape
        self.indptr = protected.indptr.astype(np.int64)
        self.indices = protected.indices.astype(np.int64)
        self._keys = np.repeat(np.arange(self.n_users), np.diff(self.indptr)) * self.n_items + self.indices

    def counts(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of protected items of each user."""
        return self.indptr[users + 1] - self.indptr[users]

    def of(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All protected pairs of these users: (position in `users`, item row)."""
        counts = self.counts(users)
        owner = np.repeat(np.arange(len(users)), counts)
        starts = np.repeat(self.indptr[users] - np.cumsum(counts) + counts, counts)
        return owner, self.indices[starts + np.arange(len(owner))]

    def contains(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each (user, item) pair is protected; the arrays broadcast."""
        wanted = users * self.n_items + items
        if len(self._keys) == 0:
            return np.zeros(wanted.shape, dtype=bool)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return self._keys[at] == wanted


def batches_of_pairs(positives: csr_array, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Every positive once, in random order, `size` at a time; the last batch may be smaller."""
    owners = np.repeat(np.arange(positives.shape[0]), np.diff(positives.indptr))
    order = rng.permutation(len(owners))
    for start in range(0, len(order), size):
        chosen = np.sort(order[start : start + size])
        users, owner = np.unique(owners[chosen], return_inverse=True)
        yield Batch(users, owner, positives.indices[chosen].astype(np.int64), positives.data[chosen])


def batches_of_users(
    positives: csr_array, size: int, rng: np.random.Generator, visits: int = 1
) -> Iterator[Batch]:
    """Whole users in random order, with all their positives; about `size` positives at a time.

    A step costs one row of distances per user, so this is the cheapest way through the data. With several
    visits a user's positives are dealt at random into as many parts, and an epoch passes over the users once
    for each part: what is learned then depends less on any single positive.
    """
    parts = rng.permutation(positives.nnz) % visits if visits > 1 else np.zeros(positives.nnz, dtype=np.int64)
    for visit in range(visits):
        yield from _one_visit(_only(positives, parts == visit), size, rng)


def _only(positives: csr_array, chosen: NDArray[np.bool_]) -> csr_array:
    if chosen.all():
        return positives
    kept = np.concatenate([[0], np.cumsum(chosen)])
    part = (positives.data[chosen], positives.indices[chosen], kept[positives.indptr])
    return csr_array(part, shape=positives.shape)


def _one_visit(positives: csr_array, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    counts = np.diff(positives.indptr)
    users = rng.permutation(np.flatnonzero(counts))
    ends = np.cumsum(counts[users])
    start = 0
    while start < len(users):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + size, side="right")))
        chosen = np.sort(users[start:stop])
        part = positives[chosen]
        owner = np.repeat(np.arange(len(chosen)), np.diff(part.indptr))
        yield Batch(chosen, owner, part.indices.astype(np.int64), part.data)
        start = stop


@dataclass(frozen=True)
class SharedPool:
    """One pool of distinct items for the whole batch, uniform or by a power of popularity.

    As large as the catalogue, or larger, it is the whole catalogue in row order.
    """

    size: int
    interacted: Interacted
    probability: NDArray[np.float64] | None = None  # (n_items,), None: uniform

    def draw(self, batch: Batch, rng: np.random.Generator) -> Negatives:
        """Negatives of a batch, items ascending."""
        n_items = self.interacted.n_items
        owner, item = self.interacted.of(batch.users)
        n_eligible = n_items - self.interacted.counts(batch.users)
        if self.size >= n_items:
            return Negatives(np.arange(n_items), owner, item, n_eligible)
        pool = np.sort(rng.choice(n_items, self.size, replace=False, p=self.probability, shuffle=False))
        column_of = np.full(n_items, -1, dtype=np.int64)
        column_of[pool] = np.arange(len(pool))
        column = column_of[item]
        inside = column >= 0
        return Negatives(pool, owner[inside], column[inside], n_eligible)


@dataclass(frozen=True)
class PerPair:
    """Independent draws for each positive, as the authors of CML sample; an interacted draw is masked."""

    draws: int
    interacted: Interacted
    probability: NDArray[np.float64] | None = None  # (n_items,), None: uniform

    def draw(self, batch: Batch, rng: np.random.Generator) -> Negatives:
        """Negatives of a batch, (batch, draws) in drawing order."""
        shape = (len(batch.liked), self.draws)
        if self.probability is None:
            items = rng.integers(0, self.interacted.n_items, shape)
        else:
            items = rng.choice(self.interacted.n_items, shape, p=self.probability)
        users = batch.users[batch.owner]
        masked_rows, masked_columns = np.nonzero(self.interacted.contains(users[:, None], items))
        n_eligible = self.interacted.n_items - self.interacted.counts(users)
        return Negatives(items, masked_rows, masked_columns, n_eligible)


def popularity_probability(positives: csr_array, power: float) -> NDArray[np.float64] | None:
    """Sampling probability of each item, proportional to (likes + 1) ** power; None (uniform) for power 0."""
    if power == 0:
        return None
    likes = np.bincount(positives.indices, minlength=positives.shape[1])
    mass = (likes + 1.0) ** power
    return mass / mass.sum()

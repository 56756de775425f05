"""A point for a user outside training, from items they liked and disliked.

The user's own share of the training objective is minimised with all items held still. In the point alone
that objective is convex (the point's own norm cancels in every difference of squared distances), so a few
projected gradient steps find its minimum from anywhere. Where the user's features say where they belong, the
feature loss [CML-3] is part of it, as in training.

Products are `a.dot(b)`: for arrays as small as here `a @ b` gives the same and takes up to three times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POOL = 512  # items that stand for the catalogue; more gain nothing measurable
USERS = 4096  # that stand for all where their mean is wanted
STEPS = 3  # gradient steps; more gain nothing measurable
HALF_LIFE = 30 * 86400.0  # seconds
MEAN_USER_LIKES = 1.5  # likes that the mean user counts as in the place of one of whom little is known
# Weights may differ by any factor. What counts next to nothing must not become infinite where it is divided by:
_MOST_PRIOR = 1e6  # likes that a prior counts as beside one like
_FEWEST = 1e-300  # items that a disliked one stands for


class Liked(NamedTuple):
    """What a user likes, and how much of it each item is."""

    vectors: NDArray[np.float32]  # (liked, dim)
    offsets: NDArray[np.float32]  # (liked,): squared norms / T
    weights: NDArray[np.float32]  # (liked,), of sum 1

    @classmethod
    def of(cls, vectors: NDArray[np.float32], weights: NDArray[np.floating], temperature: float) -> Liked:
        """Vectors (liked, dim) with weights that count relative to each other."""
        squares = np.einsum("ij,ij->i", vectors, vectors)
        return cls(vectors, squares / temperature, (weights / weights.sum()).astype(vectors.dtype))


class Prior(NamedTuple):
    """Where a user's features say that they belong, and how many likes of weight 1 that counts as."""

    place: NDArray[np.float32]  # (dim,)
    weight: float


class Negatives(NamedTuple):
    """What liked items are compared with, and what of their share does not depend on the user's point."""

    vectors: NDArray[np.float32]  # (n, dim)
    offsets: NDArray[np.float32]  # (n,): log of how many items each stands for, less its squared norm / T

    @classmethod
    def of(
        cls, vectors: NDArray[np.float32], log_counts: NDArray[np.floating], temperature: float
    ) -> Negatives:
        """Vectors (n, dim) that each stand for as many items as the logarithms (n,) say."""
        squares = np.einsum("ij,ij->i", vectors, vectors)
        return cls(vectors, (log_counts - squares / temperature).astype(vectors.dtype))


class FoldIn:
    """Places users among items that do not move.

    An even sample of at most `pool` items stands for the catalogue; its vectors are copied once so that a
    point costs well under a millisecond. users: (n_users, dim) vectors of those known from training, whose mean
    draws them as far as no other prior does [FOLD-1]; None: nothing does.
    """

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        *,
        temperature: float,
        radius: float,
        users: NDArray[np.float32] | None = None,
        pool: int = POOL,
    ) -> None:
        self._n_items = len(item_vectors)
        # Evenly spaced rows, not random ones: every process that serves a version gives the same answer.
        known = None if users is None else users[_evenly_spaced(len(users), USERS)]
        self._mean_user = None if known is None or not len(known) else known.mean(axis=0)
        self._vectors_of: Callable[[NDArray[np.integer]], NDArray[np.float32]] = item_vectors.__getitem__
        self._temperature = temperature
        self._radius = radius
        self._pool_rows = _evenly_spaced(self._n_items, pool)
        sample = np.ascontiguousarray(item_vectors[self._pool_rows])
        self._pool = Negatives.of(sample, np.zeros(len(sample)), temperature)

    def knowing(self, vectors_of: Callable[[NDArray[np.integer]], NDArray[np.float32]]) -> FoldIn:
        """The same for users who like items in further rows too; `vectors_of` gives the vectors of any rows.

        The catalogue that likes are compared with stays the same.
        """
        other = copy(self)
        other._vectors_of = vectors_of
        return other

    def point(
        self,
        liked: NDArray[np.integer],
        weights: NDArray[np.floating] | None = None,
        *,
        disliked: NDArray[np.integer] | None = None,
        disliked_weights: NDArray[np.floating] | None = None,
        start: NDArray[np.float32] | None = None,
        prior: Prior | None = None,
    ) -> NDArray[np.float32]:
        """The user's point (dim,) in the ball, from distinct liked rows and disliked rows, weighted.

        Weights are positive and count relative to each other. A disliked item stands for as large a share of
        the catalogue's negatives as its weight has among all weights. `start` is a point known from training. With
        a `prior` the weights of likes count in its unit. Raises ValueError without a liked item.
        """
        if not len(liked):
            raise ValueError("a point needs at least one liked item")
        liked_weights = _weights(weights, len(liked))
        if disliked is None or not len(disliked):
            negatives = self._without(liked)
        else:
            away_weights = _weights(disliked_weights, len(disliked))
            shares = away_weights / (liked_weights.sum() + away_weights.sum())
            negatives = self._with_disliked(liked, np.asarray(disliked), shares)
        targets = Liked.of(self._vectors_of(np.asarray(liked)), liked_weights, self._temperature)
        begin = (
            self._on_surface(targets.weights.dot(targets.vectors))
            if start is None
            else np.asarray(start, dtype=np.float32)
        )
        return self._descend(begin, targets, negatives, self._prior(prior, liked_weights))

    def _prior(self, given: Prior | None, weights: NDArray[np.float64]) -> Prior | None:
        """What draws the point beside likes whose weights sum to 1: the given prior, and for the rest the mean user."""
        told = 0.0 if given is None else min(given.weight / float(weights.sum()), _MOST_PRIOR)
        # Per effective number of likes, which has no unit, so that their weights count relative to each other.
        shares = weights / weights.sum()
        rest = MEAN_USER_LIKES * float(shares.dot(shares)) - told
        if self._mean_user is None or rest <= 0:
            return None if given is None else Prior(given.place, told)
        if given is None:
            return Prior(self._mean_user, rest)
        place = (told * given.place + rest * self._mean_user) / (told + rest)
        return Prior(place.astype(self._mean_user.dtype), told + rest)

    def _without(self, own: NDArray[np.integer]) -> Negatives:
        """The pool without the user's items, standing for the whole catalogue."""
        at = np.minimum(self._pool_rows.searchsorted(own), len(self._pool_rows) - 1)
        at = at[self._pool_rows[at] == own]
        n_items, n_free = self._n_items, len(self._pool_rows) - len(at)
        n_own = np.count_nonzero(own < n_items)
        vectors, offsets = self._pool
        offsets = offsets + np.float32(np.log((n_items - n_own) / n_free) if n_free else -np.inf)
        offsets[at] = -np.inf  # stands for no item: cheaper than copying the others out
        return Negatives(vectors, offsets)

    def _with_disliked(
        self, liked: NDArray[np.integer], disliked: NDArray[np.integer], shares: NDArray[np.float64]
    ) -> Negatives:
        """The same with disliked items, which stand for `shares` of the catalogue."""
        vectors, offsets = self._without(np.concatenate([liked, disliked]))
        log_counts = np.log(np.maximum(shares * self._n_items, _FEWEST))
        away = Negatives.of(self._vectors_of(disliked), log_counts, self._temperature)
        return Negatives(np.concatenate([vectors, away.vectors]), np.concatenate([offsets, away.offsets]))

    def _descend(
        self, point: NDArray[np.float32], liked: Liked, negatives: Negatives, prior: Prior | None = None
    ) -> NDArray[np.float32]:
        """Projected gradient descent with Barzilai-Borwein step sizes. The prior's weight is per weight of likes."""
        if _largest(negatives.offsets) == -np.inf:  # the user has liked the whole catalogue
            return self._project(point)
        rate = (
            self._temperature / 2
        )  # the curvature of a softmax of 2 point.item / T, over items in a unit ball
        before = gradient_before = None
        for _ in range(STEPS):
            gradient = smooth_warp_gradient(point, liked, negatives, self._temperature)
            if prior is not None:
                gradient += 2 * prior.weight * (point - prior.place)
            if before is not None and gradient_before is not None:
                move, turn = point - before, gradient - gradient_before
                curvature = float(move.dot(turn))
                rate = float(move.dot(move)) / curvature if curvature > 1e-12 else rate
            before, gradient_before = point, gradient
            point = self._project(point - rate * gradient)
        return point

    def _project(self, point: NDArray[np.float32]) -> NDArray[np.float32]:
        """The nearest point of the ball [CML-5]."""
        norm = float(np.sqrt(point.dot(point)))
        return point if norm <= self._radius else point * np.float32(self._radius / norm)

    def _on_surface(self, point: NDArray[np.float32]) -> NDArray[np.float32]:
        """The point in this direction where trained users end up: on the surface of the ball."""
        norm = float(np.sqrt(point.dot(point)))
        return point * np.float32(self._radius / norm) if norm > 0 else point


def smooth_warp_gradient(
    point: NDArray[np.float32], liked: Liked, negatives: Negatives, temperature: float
) -> NDArray[np.float32]:
    """Gradient (dim,) of one user's weighted smooth WARP loss [CML-6] in the user's point.

    The sum over negatives is shared by all liked items. The point's own norm cancels and is left out everywhere.
    """
    scaled = point * (2 / temperature)
    closeness = negatives.vectors.dot(scaled)
    closeness += negatives.offsets
    top = _largest(closeness)
    closeness -= top
    shares = np.exp(closeness, out=closeness)
    total = float(shares.sum())
    excess = liked.offsets - liked.vectors.dot(scaled) + (float(top) + math.log(total))
    pull = liked.weights / (1 + np.exp(-excess))
    return shares.dot(negatives.vectors) * (2 * float(pull.sum()) / total) - 2 * pull.dot(liked.vectors)


def recency_weights(times: NDArray[np.floating], half_life: float = HALF_LIFE) -> NDArray[np.float64]:
    """Weights (n,) that halve for every `half_life` seconds before the latest time; unknown (NaN): 1."""
    known = np.isfinite(times)
    ages = np.where(known, times, 0.0) / half_life
    latest = ages[known].max() if known.any() else 0.0
    return np.where(known, np.exp2(ages - latest), 1.0)


def _evenly_spaced(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n rows, ascending."""
    return np.unique(np.linspace(0, n - 1, min(most, n)).astype(np.int64))


def _largest(values: NDArray[np.float32]) -> np.float32:
    """As `values.max()`, in a fifth of the time."""
    return values[values.argmax()]


def _weights(given: NDArray[np.floating] | None, n: int) -> NDArray[np.float64]:
    if given is None:
        return np.ones(n, dtype=np.float64)
    weights = np.array(given, dtype=np.float64)
    if weights.shape != (n,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"weights {given!r}: expected {n} positive numbers")
    return weights

"""How far apart two catalogues lie, and whether bringing them together cost the second its shape.

Two questions at once, because a constant answers the first: can the catalogues still be told apart, and do the
target's items still lie to each other as they did? Pure functions of points: (n, dim) source and (m, dim) target.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]
Matrix = Any  # (n, columns), dense or sparse
DIRECTIONS = 64
LEVELS = 200  # of the quantiles that stand for a distribution on a line
RIDGE = 0.01  # of the classifier, in variances of a component
NEIGHBOURS = 10
_BLOCK = 1024


@dataclass(frozen=True)
class DomainReport:
    """What there is to know about the places of two catalogues."""

    a_distance: float  # 2 (1 - 2 error) of a linear classifier on held-out rows, 0 to 2
    sliced: float  # mean one-dimensional W1 over directions, in the units of the places
    spread: float  # mean distance to the own mean: target's over source's; 0 is a collapse
    overlap: float  # share of a target item's nearest by features that are its nearest by place

    def as_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Sight:
    """Two catalogues as one placer sees them: (n, dim) source and (m, dim) target, with what that comes to."""

    source: Points
    target: Points
    report: DomainReport
    critic_gap: float  # in the units of the places

    def as_dict(self) -> dict[str, float]:
        """Plain JSON values, without the places."""
        return self.report.as_dict() | {"critic_gap": round(self.critic_gap, 5)}


def compared(
    source: Points, target: Points, features: Matrix | None, rng: np.random.Generator
) -> DomainReport:
    """All four. features: (m, columns) of the target's items, any kind of matrix; None: no overlap (NaN)."""
    return DomainReport(
        a_distance=proxy_a_distance(source, target, rng),
        sliced=sliced_distance(source, target, rng),
        spread=spread(target) / max(spread(source), 1e-12),
        overlap=float("nan") if features is None else neighbour_overlap(features, target),
    )


def proxy_a_distance(source: Points, target: Points, rng: np.random.Generator) -> float:
    """2 (1 - 2 error) of a linear discriminant that learned on half of the rows, judged on the others, in [0, 2].

    Domains count equally whatever their sizes. 0: cannot tell them apart; 2: never wrong. At least 4 rows each.
    """
    (source_in, source_out), (target_in, target_out) = (_halves(rows, rng) for rows in (source, target))
    means = source_in.mean(axis=0), target_in.mean(axis=0)
    within = [np.atleast_2d(np.cov(rows.T)) for rows in (source_in, target_in)]
    scatter = (within[0] + within[1]) / 2
    scatter[np.diag_indices_from(scatter)] += RIDGE * max(float(np.trace(scatter)) / len(scatter), 1e-12)
    direction = np.linalg.solve(scatter, means[0] - means[1])
    middle = direction @ (means[0] + means[1]) / 2
    wrong = (source_out @ direction <= middle).mean(), (target_out @ direction > middle).mean()
    return float(max(0.0, 2 * (1 - wrong[0] - wrong[1])))


def sliced_distance(source: Points, target: Points, rng: np.random.Generator) -> float:
    """Mean over random directions of the one-dimensional Wasserstein distance [W-5], from quantiles."""
    directions = rng.normal(size=(source.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    levels = (np.arange(LEVELS) + 0.5) / LEVELS
    ends = [np.quantile(rows @ directions, levels, axis=0) for rows in (source, target)]
    return float(np.abs(ends[0] - ends[1]).mean())


def spread(points: Points) -> float:
    """Mean distance of the points to their mean."""
    return float(np.linalg.norm(points - points.mean(axis=0), axis=1).mean())


def neighbour_overlap(features: Matrix, places: Points, k: int = NEIGHBOURS) -> float:
    """Mean share of each row's k nearest by the features' cosine that are among its k nearest by place.

    features: (n, columns), dense or sparse; places: (n, dim). k is at most n - 1. Ties go to the earlier row.
    """
    k = min(k, len(places) - 1)
    scale = 1 / np.maximum(np.sqrt(np.asarray((features * features).sum(axis=1), dtype=float)).ravel(), 1e-12)
    halves = (places**2).sum(axis=1) / 2
    shares = []
    for start in range(0, len(places), _BLOCK):
        block = slice(start, start + _BLOCK)
        product = features[block] @ features.T
        cosines = (product if isinstance(product, np.ndarray) else product.toarray()) * scale
        own = np.arange(start, min(start + _BLOCK, len(places)))
        first, second = (_nearest(scores, own, k) for scores in (cosines, places[block] @ places.T - halves))
        shares += [len(np.intersect1d(a, b)) / k for a, b in zip(first, second, strict=True)]
    return float(np.mean(shares))


def _nearest(scores: Points, own: NDArray[np.integer], k: int) -> NDArray[np.integer]:
    scores = scores.copy()
    scores[np.arange(len(own)), own] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _halves(rows: Points, rng: np.random.Generator) -> tuple[Points, Points]:
    order = rng.permutation(len(rows))
    return rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]

"""The Wasserstein-1 distance between weighted point sets: exact with a certificate, one-dimensional, sliced.

An exact value comes with potentials (f, g) that satisfy f_a + g_b <= d(x_a, y_b). By weak duality no
transport plan can cost less than p.f + q.g, so a plan that costs just that is optimal: whoever distrusts
the solver checks the inequality and two sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ot
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.spatial.distance import cdist

from adversarial.errors import DataError, SolverError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_PAIRS = 100_000_000
"""Largest len(x) * len(y) that `exact` accepts: the cost matrix then takes 800 MB."""

_MAX_ITERATIONS = 100_000_000


@dataclass(frozen=True)
class Transport:
    """An optimal plan and the proof that it is optimal."""

    value: float
    """Cost of the plan, in the units of the distance [W-2]."""
    potentials: tuple[Array, Array]
    """f (n,) on x and g (m,) on y, feasible for the dual [W-3]."""
    gap: float
    """value - (p.f + q.g): how far the certificate is from proving the value, zero but for rounding."""
    violation: float
    """Largest f_a + g_b - d(x_a, y_b) over all pairs, or 0: how far the potentials are from feasible."""
    plan: sparse.coo_array
    """(n, m), at most n + m - 1 entries: row sums p, column sums q."""


def exact(x: ArrayLike, y: ArrayLike, p: ArrayLike | None = None, q: ArrayLike | None = None) -> Transport:
    """W_1 under the Euclidean distance, by network simplex, with a certificate [W-1..3].

    x: (n, dim) or (n,); y: (m, dim) or (m,). p: (n,) and q: (m,) are weights that sum to 1; uniform when
    left out. Raises DataError for points or weights that do not fit, SolverError if the solver gives up.
    """
    x, y = as_points(x, "x"), as_points(y, "y")
    p, q = as_weights(p, len(x), "p"), as_weights(q, len(y), "q")
    cost = distances(x, y)
    unit = _unit(cost, p, q)
    cost /= unit
    plan, g = _solve(cost, p, q)
    value = float(np.vdot(plan, cost))
    f, g = _everywhere(cost, p > 0, q > 0, g)
    return Transport(
        value=value * unit,
        potentials=(f * unit, g * unit),
        gap=(value - dual_value(f, g, p, q)) * unit,
        violation=dual_violation(f, g, cost) * unit,
        plan=sparse.coo_array(plan),
    )


def distances(x: Array, y: Array) -> Array:
    """Euclidean distance of every x to every y, (n, m). Raises DataError for more than MAX_PAIRS of them."""
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x has {x.shape[1]} columns and y has {y.shape[1]}; both need the same space")
    if len(x) * len(y) > MAX_PAIRS:
        raise DataError(
            f"{len(x)} x {len(y)} points make more than {MAX_PAIRS} pairs; draw a sample, or use sliced()"
        )
    found = cdist(x, y)
    if not np.isfinite(found).all():
        raise DataError("the distances between x and y exceed the range of floats; scale both down")
    return found


def c_transform(cost: Array, g: Array) -> Array:
    """f_a = min_b cost_ab - g_b, (n,): the largest f that is feasible beside g [W-4]."""
    return (cost - g).min(axis=1)


def tighten(cost: Array, g: Array) -> tuple[Array, Array]:
    """Feasible potentials (f, g) made from any g: transforming never lowers the dual's value [W-4]."""
    f = c_transform(cost, g)
    return f, c_transform(cost.T, f)


def dual_value(f: Array, g: Array, p: Array, q: Array) -> float:
    """p.f + q.g, the objective of [W-3]."""
    return float(p @ f + q @ g)


def dual_violation(f: Array, g: Array, cost: Array) -> float:
    """Largest f_a + g_b - cost_ab, or 0 when the potentials are feasible [W-3]."""
    return max(0.0, float((f[:, None] + g[None, :] - cost).max()))


def slope_bound(scores_x: ArrayLike, scores_y: ArrayLike, x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """A lower bound of W_1 from any critic's scores, and the observed slope that it divides by [W-4].

    The slope is the largest |f(x_a) - f(y_b)| / d(x_a, y_b) over all pairs: infinite when coinciding points
    get different scores, and the bound is then 0. Uniform weights. Never above the exact distance, whatever
    the critic; negative when the critic ranks the sets the wrong way round.
    """
    f, g = np.asarray(scores_x, dtype=float).ravel(), np.asarray(scores_y, dtype=float).ravel()
    cost = distances(as_points(x, "x"), as_points(y, "y"))
    if cost.shape != (len(f), len(g)):
        raise DataError(
            f"slope_bound: {len(f)} and {len(g)} scores for {cost.shape[0]} and {cost.shape[1]} points"
        )
    rise = np.abs(f[:, None] - g[None, :])
    steepness = np.divide(rise, cost, out=np.where(rise > 0, np.inf, 0.0), where=cost > 0)
    slope = float(steepness.max())
    return (float(f.mean() - g.mean()) / slope if 0 < slope < np.inf else 0.0), slope


def one_dimensional(
    x: ArrayLike, y: ArrayLike, p: ArrayLike | None = None, q: ArrayLike | None = None
) -> float:
    """W_1 on the line: the area between the two cumulative distributions [W-5]. x: (n,), y: (m,)."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or y.ndim != 1:
        raise DataError(f"one_dimensional: shapes {x.shape} and {y.shape}; give (n,) and (m,)")
    x, y = as_points(x, "x")[:, 0], as_points(y, "y")[:, 0]
    mass = np.concatenate([as_weights(p, len(x), "p"), -as_weights(q, len(y), "q")])
    places = np.concatenate([x, y])
    order = np.argsort(places, kind="stable")
    difference = np.cumsum(mass[order])[:-1]
    return float(np.abs(difference) @ np.diff(places[order]))


def sliced(
    x: ArrayLike,
    y: ArrayLike,
    p: ArrayLike | None = None,
    q: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    projections: int = 100,
) -> float:
    """Mean of W_1 over random one-dimensional projections: never above W_1, cheap for large sets.

    Directions are uniform on the sphere; in one dimension the result is W_1 itself.
    """
    x, y = as_points(x, "x"), as_points(y, "y")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x has {x.shape[1]} columns and y has {y.shape[1]}; both need the same space")
    if projections < 1:
        raise DataError(f"sliced: {projections} projections; give at least 1")
    directions = rng.standard_normal((projections, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return float(np.mean([one_dimensional(x @ axis, y @ axis, p, q) for axis in directions]))


def as_points(points: ArrayLike, name: str) -> Array:
    """The points as (n, dim) float64; a flat list is n points on the line. Raises DataError."""
    array = _as_floats(points, name)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise DataError(f"{name} has shape {array.shape}; give (n, dim) with at least one point")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise DataError(f"{name}: row {row} has a value that is not finite; drop or repair it")
    return array


def as_weights(weights: ArrayLike | None, count: int, name: str) -> Array:
    """Weights (count,) that sum to 1 as exactly as floats can; uniform for None. Raises DataError."""
    if weights is None:
        return np.full(count, 1.0 / count)
    array = _as_floats(weights, name)
    if array.shape != (count,):
        raise DataError(f"{name} has shape {array.shape}; give one weight for each of the {count} points")
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(f"{name}: weights have to be finite and not negative, the smallest is {array.min()}")
    if abs(array.sum() - 1) > 1e-6:
        raise DataError(f"{name} sums to {array.sum()}; divide the weights by their sum")
    return array / array.sum()


def _as_floats(values: ArrayLike, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be read as a dense array of numbers ({error})") from error


def _unit(cost: Array, p: Array, q: Array) -> float:
    """A power of two, which rounds nothing, near the mean cost of moving p to q without a plan.

    The solver's tolerances are absolute: costs far below 1 would all look alike to it.
    """
    size = max(float(p @ cost @ q), 1e-100 * float(cost.max()))
    return float(np.exp2(np.ceil(np.log2(size)))) if size > 0 else 1.0


def _everywhere(cost: Array, rows: Mask, columns: Mask, g: Array) -> tuple[Array, Array]:
    """Potentials on all points from g on the columns that have weight [W-4].

    Points without weight adapt to the others and never the other way round.
    """
    if rows.all() and columns.all():
        return tighten(cost, g)
    f = np.empty(len(cost))
    f[rows] = c_transform(cost[np.ix_(rows, columns)], g)
    g = c_transform(cost[rows].T, f[rows])
    f[~rows] = c_transform(cost[~rows], g)
    return f, g


def _solve(cost: Array, p: Array, q: Array) -> tuple[Array, Array]:
    """The plan (n, m) of POT's network simplex, and its potential on the columns that have weight.

    Points without weight are left out: far away, they would cost the others digits.
    """
    rows, columns = np.ix_(p > 0, q > 0)
    inner = cost if p.all() and q.all() else cost[rows, columns]
    found, log = ot.emd(p[p > 0], q[q > 0], inner, numItermax=_MAX_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise SolverError(f"network simplex on {len(p)} x {len(q)} points: {log['warning']}")
    if inner is cost:
        return found, log["v"]
    plan = np.zeros_like(cost)
    plan[rows, columns] = found
    return plan, log["v"]

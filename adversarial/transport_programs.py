"""The Wasserstein distance as linear programs, for teaching and as an independent check of the solver.

`wasserstein.exact` answers the same question some hundred times faster; these spell out what it computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import OptimizeResult, linprog

from adversarial.errors import SolverError
from adversarial.wasserstein import Array, distances

_OPTIONS: Any = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
    "presolve": False,  # it takes tiny weights for contradictions and calls the program infeasible
}


def marginal_matrix(n: int, m: int) -> sparse.csr_array:
    """The A of [W-2], (n + m, n * m): A vec(plan) = (p, q), plan flattened row by row; rank n + m - 1.

    Row a < n sums the plan's row a: a block of ones. Row n + b sums its column b: every m-th entry.
    """
    row_sums = sparse.kron(sparse.eye_array(n), np.ones((1, m)))
    column_sums = sparse.kron(np.ones((1, n)), sparse.eye_array(m))
    return sparse.csr_array(sparse.vstack([row_sums, column_sums]))


def primal(cost: Array, p: Array, q: Array) -> tuple[float, Array]:
    """[W-2]: the least cost of moving p to q, and a plan (n, m) that attains it."""
    n, m = cost.shape
    result = _solve(cost.ravel(), equal=(marginal_matrix(n, m), np.concatenate([p, q])), bounds=(0, None))
    return float(result.fun), result.x.reshape(n, m)


def dual(cost: Array, p: Array, q: Array) -> tuple[float, Array, Array]:
    """[W-3]: max p.f + q.g subject to f_a + g_b <= cost_ab. Returns (value, f (n,), g (m,)), the last g 0."""
    n, m = cost.shape
    below = (sparse.csr_array(marginal_matrix(n, m).T), cost.ravel())
    result = _solve(-np.concatenate([p, q]), below=below, bounds=[(None, None)] * (n + m - 1) + [(0, 0)])
    return -float(result.fun), result.x[:n], result.x[n:]


def one_potential_dual(x: Array, y: Array, p: Array, q: Array) -> tuple[float, Array]:
    """[W-4]: max E_P[f] - E_Q[f] over f that are 1-Lipschitz on both supports together.

    Returns (value, f (n + m,)): first on x, then on y. The last one is 0: a constant added to all of f changes
    nothing but what p and q differ by in rounding, which would be multiplied without bound.
    """
    points = np.concatenate([x, y])
    cost = distances(points, points)
    a, b = np.nonzero(~np.eye(len(points), dtype=bool))
    pair = np.arange(len(a))
    rise = sparse.coo_array(
        (np.repeat([1.0, -1.0], len(a)), (np.tile(pair, 2), np.concatenate([a, b]))),
        shape=(len(a), len(points)),
    )
    objective = -np.concatenate([p, -q])
    free = [(None, None)] * (len(points) - 1)
    result = _solve(objective, below=(sparse.csr_array(rise), cost[a, b]), bounds=[*free, (0, 0)])
    return -float(result.fun), result.x


def _solve(
    objective: Array,
    *,
    bounds: Any,
    equal: tuple[Any, Array] | None = None,
    below: tuple[Any, Array] | None = None,
) -> OptimizeResult:
    a_eq, b_eq = equal or (None, None)
    a_ub, b_ub = below or (None, None)
    result = linprog(
        objective, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=b_eq, bounds=bounds, method="highs", options=_OPTIONS
    )
    if not result.success:
        raise SolverError(f"linear program with {len(objective)} unknowns: {result.message}")
    return result

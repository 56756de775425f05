"""Ridge regression from sparse rows onto points, without ever forming a dense Gram matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float32]
TOLERANCE = 1e-4  # of the residual, relative to the right-hand side, over all components together
MOST_ITERATIONS = 200


def ridge(rows: csr_array, targets: Array, penalty: float) -> Array:
    """`argmin_W ||X W - Y||^2 + penalty ||W||^2`: (columns, dim), for X (n, columns) and Y (n, dim).

    Conjugate gradients on `(X^T X + penalty I) W = X^T Y`, all components at once, with the diagonal as
    preconditioner: a column that many rows share does not slow the others down.
    """
    across = csr_array(rows.T)
    right: Array = across @ targets
    squares = np.asarray(across.power(2).sum(axis=1), dtype=np.float32).reshape(-1, 1)
    inverse = (1 / (squares + np.float32(penalty))).astype(np.float32)
    weights: Array = np.zeros_like(right)
    residual, direction = right, inverse * right
    slope = _dots(residual, direction)
    enough = TOLERANCE**2 * max(float(_dots(right, right).sum()), 1e-30)
    for _ in range(MOST_ITERATIONS):
        if _dots(residual, residual).sum() <= enough:
            break
        image = across @ (rows @ direction) + penalty * direction
        step = slope / np.maximum(_dots(direction, image), 1e-30)
        weights += step * direction
        residual = residual - step * image
        preconditioned = inverse * residual
        before, slope = slope, _dots(residual, preconditioned)
        direction = preconditioned + slope / np.maximum(before, 1e-30) * direction
    return weights


def _dots(one: Array, other: Array) -> Array:
    """(dim,) of each component."""
    return np.einsum("ij,ij->j", one, other)

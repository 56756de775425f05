"""How far a mean over users would move with other users of the same kind: percentile bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95
_WEIGHTS = 1 << 22  # resampling weights held at once


def mean_intervals(
    values: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> NDArray[np.float64]:
    """Lower and upper ends (m, 2) of the intervals of the column means of `values` (n users, m).

    Users are drawn n at a time with replacement, the same ones for all columns.
    """
    n = len(values)
    if not n:
        return np.full((values.shape[1], 2), np.nan)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _WEIGHTS // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(size)])
        means[start : start + size] = weights.astype(np.float64) @ values / n
    tail = (1 - level) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T

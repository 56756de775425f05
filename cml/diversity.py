"""Lists whose items differ from each other, not only close to the user."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POOL = 100  # nearest items among which diversity chooses; beyond them a listing goes on nearest first


def mmr_order(
    distances: NDArray[np.float32], vectors: NDArray[np.float32], strength: float, n: int
) -> NDArray[np.int64]:
    """Positions of the first n candidates by maximal marginal relevance, in the order chosen.

    Each step takes the candidate with the smallest `(1 - strength) * distance - strength * (distance to the
    nearest one chosen before)`; the first one is the nearest. distances: (candidates,), plain; vectors:
    (candidates, dim). A longer list begins with the shorter one. After Carbonell and Goldstein (1998).
    """
    n = min(n, len(distances))
    chosen = np.empty(n, dtype=np.int64)
    cost = (1 - strength) * distances.astype(np.float64)
    apart = np.full(len(distances), np.inf)
    for at in range(n):
        # Nothing is chosen before the first one, so only its distance counts.
        pick = int(np.argmin(cost - strength * apart if at else cost))
        chosen[at] = pick
        cost[pick] = np.inf
        differences = vectors - vectors[pick]
        np.minimum(apart, np.sqrt(np.einsum("ij,ij->i", differences, differences)), out=apart)
    return chosen

"""The likeliest temperature of a space's distances, by trying many."""

from __future__ import annotations

import numpy as np


def log_likelihood(users, items, liked, temperature):
    """Mean over users of the mean log-probability of their liked items, exp(-d^2 / T) over all items."""
    total = 0.0
    for user, mask in zip(users, liked, strict=True):
        logits = -((items - user) ** 2).sum(1) / temperature
        shares = np.exp(logits - logits.max())
        total += np.log(shares[mask] / shares.sum()).mean()
    return total / len(users)


def likeliest(users, items, liked, least, most):
    """The best of a fine grid."""
    grid = np.geomspace(least, most, 2001)
    return max(grid, key=lambda temperature: log_likelihood(users, items, liked, temperature))

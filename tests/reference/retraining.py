"""Alignment, places of new items and the popularity shift, as slow and as obvious as the formulas."""

from __future__ import annotations

import numpy as np
from scipy.linalg import orthogonal_procrustes


def rotation_onto(points, targets):
    """SciPy's own answer to the orthogonal Procrustes problem [RETRAIN-2]."""
    return orthogonal_procrustes(points, targets)[0]


def place_of_item(weights, users, prior, likes_of_prior, length):
    """c p + sum w u, at the given length [RETRAIN-1]."""
    towards = likes_of_prior * np.asarray(prior, float)
    for weight, user in zip(weights, users, strict=True):
        towards = towards + weight * np.asarray(user, float)
    return towards * length / np.linalg.norm(towards)


def popularity_shift(before, after):
    """Half the sum over items of the difference of their shares of likes [RETRAIN-3]."""
    items = set(before) | set(after)
    return sum(abs(before.count(i) / len(before) - after.count(i) / len(after)) for i in items) / 2

"""The feature loss and its regression, as slow and as obvious as the formulas."""

from __future__ import annotations

import numpy as np


def feature_loss(places, vectors, weights):
    """The weighted sum over items of the squared distance between place and vector [CML-3]."""
    total = 0.0
    for place, vector, weight in zip(places, vectors, weights, strict=True):
        total += weight * sum((a - b) ** 2 for a, b in zip(place, vector, strict=True))
    return total


def ridge(rows, targets, penalty):
    """The normal equations, solved."""
    gram = rows.T @ rows + penalty * np.eye(rows.shape[1])
    return np.linalg.solve(gram, rows.T @ targets)


def unit_rows(rows):
    """Each row divided by its length; a row of zeros stays."""
    scaled = []
    for row in rows:
        length = sum(value * value for value in row) ** 0.5
        scaled.append([value / length if length else 0.0 for value in row])
    return np.array(scaled)

"""Implicit alternating least squares, one row at a time by a dense solve of its normal equations."""

from __future__ import annotations

import numpy as np


def solve_rows(liked, other, unobserved, regularization):
    """liked: (rows, columns) booleans; other: (columns, dim). The best vector of each row."""
    dim = other.shape[1]
    solved = np.zeros((len(liked), dim))
    for row, mask in enumerate(liked):
        if not mask.any():
            continue
        system = np.zeros((dim, dim))
        target = np.zeros(dim)
        for column, is_liked in enumerate(mask):
            outer = np.outer(other[column], other[column])
            system += unobserved * outer
            if is_liked:
                system += outer
                target += other[column]
        ridge = regularization * (mask.sum() + unobserved * len(other))
        solved[row] = np.linalg.solve(system + ridge * np.eye(dim), target)
    return solved

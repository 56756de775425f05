"""What is done to features, entry by entry, before the first layer. Zeros stay zero, sparse stays sparse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse


def as_they_are(features: Any) -> Any:
    """The features unchanged."""
    return features


def logarithm(features: Any) -> Any:
    """sign(x) log(1 + |x|): the tenth mention of a word says less than the first."""
    if sparse.issparse(features):
        return sparse_logarithm(features)
    return np.sign(features) * np.log1p(np.abs(features))


def sparse_logarithm(matrix: Any) -> Any:
    """`logarithm` of the entries that are there."""
    scaled = matrix.copy()
    scaled.data = logarithm(scaled.data)
    return scaled


SCALES: dict[str, Callable[[Any], Any]] = {"none": as_they_are, "log": logarithm}

"""Vectors in one byte a number: a first pass of exact search that reads a quarter of the memory.

An item's code is a point near its vector, never farther from it than `radius`; what is asked gets a code too. So the
distance between two codes bounds the true distance from below, and what the codes rule out is ruled out for certain.
"""

from __future__ import annotations

import math

import faiss
import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 32 << 20  # of codes, which every process holds for itself
_LEAST_BYTES = 1 << 18  # with less the vectors stay in the processor's cache anyway
_LEVELS = 127.0
_BLOCK = 65_536  # vectors converted at once


class Codes:
    """Codes of vectors (n, dim), in memory of their own."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        dim = vectors.shape[1]
        self._step = max(float(np.abs(vectors).max(initial=0.0)) / _LEVELS, float(np.finfo(np.float32).tiny))
        self._index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_direct_signed)
        self._index.is_trained = True  # these codes have nothing to learn
        self.radius = 0.0  # no vector is farther from its code
        for begin in range(0, len(vectors), _BLOCK):
            block = vectors[begin : begin + _BLOCK]
            codes = np.rint(block / np.float32(self._step))
            self._index.add(codes)
            off = block - codes * np.float64(self._step)
            self.radius = max(self.radius, float(np.sqrt(np.einsum("ij,ij->i", off, off).max(initial=0.0))))

    @classmethod
    def where_they_help(cls, vectors: NDArray[np.float32]) -> Codes | None:
        """Codes of vectors that are many enough to gain from them and few enough to hold them twice."""
        return cls(vectors) if _LEAST_BYTES <= vectors.size <= MOST_BYTES else None

    def candidates(self, point: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], float]:
        """The k rows whose codes are nearest to a point's, and a bound: the squared distance from the point to the
        vector of any other row, or of the last of these, is never below it, but for the library's rounding."""
        # Rounded here, because the library rounds too and would not say by how much.
        code = np.minimum(np.maximum(np.rint(point / np.float32(self._step)), -_LEVELS), _LEVELS)
        off = point - code * np.float64(self._step)
        squared, rows = np.empty(k, dtype=np.float32), np.empty(k, dtype=np.int64)
        # The library's own entry: its Python wrapper costs as much as a tenth of the search.
        search = self._index.search_c  # type: ignore[attr-defined]
        search(1, faiss.swig_ptr(code), k, faiss.swig_ptr(squared), faiss.swig_ptr(rows), None)
        distance = math.sqrt(squared[-1]) * self._step - (self.radius + math.sqrt(off.dot(off)))
        return rows, max(distance, 0.0) ** 2

"""Sets of (row, column) pairs as sparse matrices: a stored entry is a pair, whatever its value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


def pair_matrix(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> csr_array:
    """The pairs as a matrix of ones (float32), repeats merged, columns ascending in each row."""
    matrix = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def stored(matrix: csr_array, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the pairs are stored in the matrix; `rows` and `columns` broadcast, negative ones are not."""
    width = matrix.shape[1]
    of_entry = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    keys = of_entry * width + matrix.indices
    if not matrix.has_sorted_indices:
        keys.sort()
    wanted = np.asarray(rows, dtype=np.int64) * width + columns
    if not len(keys):
        return np.zeros(wanted.shape, dtype=bool)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return (keys[at] == wanted) & (columns >= 0)

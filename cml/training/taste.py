"""What a user's tf-idf profile says about an item, as a place in the metric space.

Cosine to the items that a user likes is a strong judge of items that nobody has met. It is an inner product of the
item's features with the user's profile, so the place whose inner products with the users' vectors come closest to it
says the same to all users at once, and a regression onto such places carries it to items of any catalogue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

SHRINKAGE = 0.1  # of the fit, in squared lengths of a user's vector a user


def taste_places(
    users: NDArray, liked: csr_array, features: csr_array, *, shrinkage: float = SHRINKAGE
) -> NDArray[np.float64]:
    """`argmin_P sum_ij (u_i . p_j - s_ij)^2 + shrinkage n ||P||^2`, s_ij = sum over i's items l of x_l . x_j.

    users: (n, dim). liked: (n, items), weights ignored. features: (items, columns). Returns (items, dim).
    """
    vectors: NDArray[np.float64] = np.asarray(users, dtype=np.float64)
    ones = csr_array((np.ones(liked.nnz), liked.indices, liked.indptr), shape=liked.shape)
    gram: NDArray[np.float64] = vectors.T @ vectors + shrinkage * len(vectors) * np.eye(vectors.shape[1])
    profiles = features.T @ (ones.T @ vectors)  # (columns, dim): S^T U without any users x items matrix
    wanted: NDArray[np.float64] = np.asarray(features @ profiles, dtype=np.float64)
    return np.asarray(np.linalg.solve(gram, wanted.T).T)


def leaning(vectors: NDArray, places: NDArray, share: float) -> NDArray[np.float32]:
    """Vectors (n, dim) plus `share` times the places' directions, at the vectors' lengths.

    Both directions count by their length one; a vector or place of length zero has none.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    mixed = vectors / np.maximum(lengths, 1e-12) + share * places / np.maximum(
        np.linalg.norm(places, axis=1, keepdims=True), 1e-12
    )
    scale = lengths / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return (mixed * scale).astype(np.float32)

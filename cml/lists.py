"""The lists that are computed once, at publication: each user's nearest unseen items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cml.index import NO_ROW, ItemIndex

LIST_LENGTH = 100
_BLOCK = 1024  # users at a time


def nearest_unseen(
    index: ItemIndex,
    user_vectors: NDArray[np.float32],
    seen_indptr: NDArray[np.int64],
    seen_items: NDArray[np.int32],
    length: int = LIST_LENGTH,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Each user's nearest unseen items: (rows, distances), each (n_users, length), nearest first.

    Distances are plain, not squared. Users with fewer unseen items are padded with row -1 and distance inf.
    """
    n_users = len(user_vectors)
    rows = np.full((n_users, length), NO_ROW, dtype=np.int32)
    distances = np.full((n_users, length), np.inf, dtype=np.float32)
    seen_counts = np.diff(seen_indptr)
    # Users with similarly long histories together: each block fetches as much as its longest needs.
    by_history = np.argsort(seen_counts, kind="stable")
    for begin in range(0, n_users, _BLOCK):
        block = by_history[begin : begin + _BLOCK]
        near, squared = index.search(user_vectors[block], length + int(seen_counts[block].max()))
        for at, user in enumerate(block):
            seen = seen_items[seen_indptr[user] : seen_indptr[user + 1]]
            kept = np.flatnonzero((near[at] != NO_ROW) & ~np.isin(near[at], seen))[:length]
            rows[user, : len(kept)] = near[at, kept]
            distances[user, : len(kept)] = np.sqrt(squared[at, kept])
    return rows, distances

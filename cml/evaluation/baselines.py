"""The floor under every report: popularity, and item-item similarity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from cml.data.pairs import pair_matrix
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import NO_ITEM, top_unseen_by

SIMILARITIES = 1 << 26  # kept at most, which decides the number of neighbours where none is given
_PAIRS = 1 << 23  # of items compared at once
_CELLS = 1 << 22  # of popularity lists made at once

Baseline = Callable[[csr_array, HeldOut, int], NDArray[np.int32]]


def popularity_lists(liked: csr_array, held_out: HeldOut, k: int) -> NDArray[np.int32]:
    """The k items liked by most users that each user has not seen, ties to the lower row: (n, k) int32.

    liked: (n_users, n_items), the training pairs.
    """
    order = np.argsort(-_popularity(liked), kind="stable").astype(np.int32)
    place = np.empty_like(order)
    place[order] = np.arange(len(order), dtype=np.int32)
    seen = held_out.seen
    most = int(np.diff(seen.indptr).max(initial=0))
    head = order[: k + most]  # nobody's list reaches further down
    lists = np.full((len(held_out), k), NO_ITEM, dtype=np.int32)
    step = max(1, _CELLS // max(len(head), 1))
    for start in range(0, len(held_out), step):
        block = seen[start : start + step]
        skip = np.zeros((block.shape[0], len(head)), dtype=bool)
        rows, places = np.repeat(np.arange(len(skip)), np.diff(block.indptr)), place[block.indices]
        near = places < len(head)
        skip[rows[near], places[near]] = True
        first = np.argsort(skip, axis=1, kind="stable")[:, :k]
        taken = np.take_along_axis(skip, first, axis=1)
        lists[start : start + len(skip), : first.shape[1]] = np.where(taken, NO_ITEM, head[first])
    return lists


def item_item_lists(
    liked: csr_array, held_out: HeldOut, k: int, *, neighbours: int | None = None
) -> NDArray[np.int32]:
    """The k unseen items most similar to what each user liked, (n, k) int32.

    The score of an item is the sum of its cosine similarities, over the users who liked them, to the user's
    liked items, where each liked item speaks for its `neighbours` most similar ones only (default: all of
    them, fewer where a table of all would not fit in memory). Items without any such similarity follow by
    popularity, so lists are full.
    """
    profiles = liked[held_out.user_rows]
    profiles.data = np.ones_like(profiles.data, dtype=np.float32)
    similarity = item_similarity(liked, neighbours or max(1, SIMILARITIES // max(1, liked.shape[1])))
    by_popularity = -1 / (1 + _popularity(liked).astype(np.float32))  # below every similarity

    def score_block(block: slice) -> NDArray[np.float32]:
        scores = (profiles[block] @ similarity).toarray()
        return np.where(scores > 0, scores, by_popularity)

    return top_unseen_by(score_block, held_out.seen, k)


def item_similarity(liked: csr_array, neighbours: int) -> csr_array:
    """Cosine similarity of items over the users who liked them: (n_items, n_items) float32.

    Each row keeps its `neighbours` largest entries, ties to the lower row, never the item itself.
    """
    ones = pair_matrix(*liked.nonzero(), liked.shape)
    lengths = np.sqrt(np.maximum(_popularity(ones), 1)).astype(np.float32)
    unit = csr_array(ones / lengths)
    transposed = csr_array(unit.T)
    blocks = [
        _largest(csr_array(transposed[start:stop] @ unit), start, neighbours)
        for start, stop in _blocks(ones, transposed)
    ]
    nothing = csr_array((0, liked.shape[1]), dtype=np.float32)
    return vstack([nothing, *blocks], format="csr")


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {"popularity": popularity_lists, "item-item": item_item_lists}
)


def _popularity(liked: csr_array) -> NDArray[np.int64]:
    return np.bincount(liked.indices, minlength=liked.shape[1])


def _blocks(liked: csr_array, transposed: csr_array) -> Iterator[tuple[int, int]]:
    """Ranges of items whose products with all others hold at most about `_PAIRS` entries."""
    bound = transposed.astype(bool).astype(np.float64) @ np.diff(liked.indptr)
    reached = np.cumsum(np.minimum(bound, transposed.shape[0]))
    start = 0
    while start < len(reached):
        done = reached[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(reached, done + _PAIRS, side="right")))
        yield start, stop
        start = stop


def _largest(block: csr_array, first_row: int, neighbours: int) -> csr_array:
    """The `neighbours` largest entries of each row, the diagonal (from `first_row` on) left out."""
    rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    others = block.indices != rows + first_row
    rows, columns, values = rows[others], block.indices[others], block.data[others]
    order = np.lexsort((columns, -values, rows))
    starts = np.cumsum(np.bincount(rows, minlength=block.shape[0]))[rows[order]]
    counts = np.bincount(rows, minlength=block.shape[0])[rows[order]]
    kept = order[np.arange(len(order)) - (starts - counts) < neighbours]
    return csr_array((values[kept], (rows[kept], columns[kept])), shape=block.shape)

"""Snapshot in, list out: the one place that decides how an answer is made. Knows no HTTP; the command line
and the service both call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from cml.index import NO_ROW, squared_distances
from cml.query import ListOptions, Query
from cml.selection import Selection, select
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW

PERSONAL = "personal"
SIMILAR = "similar"
Fallback = Literal["popular", "trending", "recent"]


class Because(NamedTuple):
    """One of the user's own items and its distance from the recommended one."""

    item_id: str
    distance: float
    record: dict[str, Any]


class Recommended(NamedTuple):
    """One item of a list. `row` is for callers that keep something per item; it never leaves the process."""

    item_id: str
    row: int
    distance: float | None  # plain Euclidean, from the point asked about; None in lists that are not personal
    score: float | None  # larger is better; only in lists that are not by distance
    record: dict[str, Any]
    because: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A list with what it takes to understand it: version, strategy, length asked for, skipped ids."""

    version: str
    strategy: str
    k: int
    offset: int
    items: list[Recommended]
    skipped: tuple[str, ...] = ()  # ids in the request that the version does not know


def recommend(
    snapshot: Snapshot, user_id: str, *, fallback: Fallback = "popular", **options: Unpack[ListOptions]
) -> Recommendations:
    """The items nearest to a user, nearest first; `options` are those of `Query`.

    A user that the version does not know gets the fallback list, and the strategy says so. Raises QueryError.
    """
    query = Query(**options)
    user_row = snapshot.user_row(user_id)
    if user_row == UNKNOWN_ROW:
        return popular(snapshot, by=fallback, **options)
    selection: Selection | None = None
    skipped: tuple[str, ...] = ()
    if query.restricted or not query.exclude_seen or len(snapshot.hidden):
        selection, skipped = select(snapshot, query, snapshot.seen_rows(user_row))
    rows, distances = _stored(snapshot, user_row, selection, query)
    if rows is None:
        selection = selection or Selection(None, snapshot.seen_rows(user_row))
        point = snapshot.artifact.user_vectors[user_row]
        rows, squared = selection.nearest(snapshot.index, point, query.end)
        distances = np.sqrt(squared)
    own = snapshot.liked_rows(user_row) if query.because else None
    return _by_distance(snapshot, PERSONAL, query, rows, distances, skipped, own)


def recommend_batch(
    snapshot: Snapshot, user_ids: Iterable[str], **options: Unpack[ListOptions]
) -> Iterator[Recommendations]:
    """`recommend` for many users, one list each in the order given, computed while they are taken."""
    Query(**options)
    return (recommend(snapshot, user_id, **options) for user_id in user_ids)


def similar_items(snapshot: Snapshot, item_id: str, **options: Unpack[ListOptions]) -> Recommendations:
    """The items nearest to an item, without itself, nearest first.

    Raises VocabularyError for an unknown item, QueryError.
    """
    query = Query(**options)
    row = snapshot.require_item(item_id)
    selection, skipped = select(snapshot, query, np.array([row]))
    if not query.exclude_seen:  # an item is never similar to itself
        selection = Selection(selection.mask, np.union1d(selection.blocked, [row]))
    rows, squared = selection.nearest(snapshot.index, snapshot.artifact.item_vectors[row], query.end)
    return _by_distance(snapshot, SIMILAR, query, rows, np.sqrt(squared), skipped, None)


def popular(
    snapshot: Snapshot, *, by: Fallback = "popular", **options: Unpack[ListOptions]
) -> Recommendations:
    """The same list for everybody: most liked, trending (recent likes count more) or recent (newest first).

    Without times in the data, trending and recent fall back to popular, and the strategy says so.
    """
    query = Query(**options)
    selection, skipped = select(snapshot, query)
    strategy, order, scores = _ordered(snapshot, by)
    rows = _first(order, selection, query.end)[query.offset :]
    items = []
    for row in rows.tolist():
        item_id, record = snapshot.card(row)
        items.append(Recommended(item_id, row, None, float(scores[row]), record))
    return Recommendations(snapshot.version, strategy, query.k, query.offset, items, skipped)


def _ordered(snapshot: Snapshot, by: Fallback) -> tuple[str, NDArray[np.int64], NDArray[np.float64]]:
    """The strategy, its items in order, and the scores of all items."""
    artifact = snapshot.artifact
    if by == "trending" and snapshot.trending_rows is not None and artifact.trending is not None:
        return by, snapshot.trending_rows, artifact.trending
    if by == "recent" and snapshot.recent_rows is not None and artifact.first_seen is not None:
        return by, snapshot.recent_rows, artifact.first_seen
    return "popular", snapshot.popular_rows, artifact.popularity


def _first(order: NDArray[np.int64], selection: Selection, n: int) -> NDArray[np.int64]:
    """The first n selected rows of an order; looks at more and more of it until there are enough."""
    window = 4 * (n + len(selection.blocked))
    while True:
        kept = order[:window][selection.keeps(order[:window])]
        if len(kept) >= n or window >= len(order):
            return kept[:n]
        window *= 8


def _stored(
    snapshot: Snapshot, user_row: int, selection: Selection | None, query: Query
) -> tuple[NDArray[np.integer] | None, NDArray[np.float32]]:
    """The beginning of the user's precomputed list that the selection keeps; None where it is too short.

    What remains of the beginning of a ranking is the beginning of what remains of the ranking.
    """
    rows, distances = snapshot.artifact.top_rows[user_row], snapshot.artifact.top_distances[user_row]
    complete = bool(len(rows) == 0 or rows[-1] == NO_ROW)
    if selection is None:
        enough = query.end <= len(rows) or complete
        kept = slice(0, query.end)
        rows, distances = rows[kept], distances[kept]
    elif query.exclude_seen:
        mask = selection.keeps(rows)
        rows, distances = rows[mask], distances[mask]
        enough = query.end <= len(rows) or complete
    else:
        enough = False
    return (rows if enough else None), distances


def _by_distance(
    snapshot: Snapshot,
    strategy: str,
    query: Query,
    rows: NDArray[np.integer],
    distances: NDArray[np.float32],
    skipped: tuple[str, ...],
    own: NDArray[np.integer] | None,
) -> Recommendations:
    page = slice(query.offset, query.end)
    items = []
    for row, distance in zip(rows[page].tolist(), distances[page].tolist(), strict=True):
        if row == NO_ROW or (query.max_distance is not None and distance > query.max_distance):
            break
        item_id, record = snapshot.card(row)
        reasons = () if own is None else because(snapshot, own, row, query.because)
        items.append(Recommended(item_id, row, distance, None, record, reasons))
    return Recommendations(snapshot.version, strategy, query.k, query.offset, items, skipped)


def because(
    snapshot: Snapshot, own: NDArray[np.integer] | Sequence[int], item_row: int, n: int
) -> tuple[Because, ...]:
    """The n of the user's own items that are nearest to an item, nearest first."""
    own = np.asarray(own)
    vectors = snapshot.artifact.item_vectors
    squared = squared_distances(vectors[item_row], vectors[own])
    nearest = np.argsort(squared, kind="stable")[:n]
    reasons = []
    for row, distance in zip(own[nearest].tolist(), np.sqrt(squared[nearest]).tolist(), strict=True):
        item_id, record = snapshot.card(row)
        reasons.append(Because(item_id, distance, record))
    return tuple(reasons)

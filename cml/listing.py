"""From a ranking by distance to one page of a list: cut-off, diversity, paging, reasons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cml.answers import Because, Recommendations, Recommended
from cml.diversity import POOL, mmr_order
from cml.index import NO_ROW, smallest, squared_distances
from cml.query import Query
from cml.selection import Selection, merged
from cml.snapshot import Snapshot


class Ranking(NamedTuple):
    """Items and their plain distances, nearest first."""

    rows: NDArray[np.integer]
    distances: NDArray[np.floating]


def nearest(snapshot: Snapshot, selection: Selection, point: NDArray[np.float32], query: Query) -> Ranking:
    """The selected items nearest to a point, as many as the query needs."""
    rows, squared = selection.nearest(snapshot.stock, point, _needed(query))
    return Ranking(rows, np.sqrt(squared))


def stored(snapshot: Snapshot, user_row: int, selection: Selection | None, query: Query) -> Ranking | None:
    """What a selection (None: all) keeps of the user's precomputed list; None where that is too short.

    What remains of the beginning of a ranking is the beginning of what remains of the ranking. Filtered lists
    are exact, so they are not taken from a list that an approximate index made.
    """
    if selection is not None and selection.chosen is not None and not snapshot.index.exact:
        return None
    rows, distances = snapshot.artifact.top_rows[user_row], snapshot.artifact.top_distances[user_row]
    complete = len(rows) == 0 or rows[-1] == NO_ROW
    reach = np.inf if complete else float(distances[-1])
    if selection is not None:
        kept = selection.keeps(rows)
        rows, distances = rows[kept], distances[kept]
    if snapshot.stock.added is not None:
        rows, distances = _with_added(snapshot, user_row, selection, Ranking(rows, distances), reach)
    needed = _needed(query)
    if needed > len(rows) and not complete:
        return None
    return Ranking(rows[:needed], distances[:needed])


def answer(
    snapshot: Snapshot,
    strategy: str,
    query: Query,
    ranking: Ranking,
    *,
    skipped: tuple[str, ...] = (),
    own: NDArray[np.integer] | None = None,
) -> Recommendations:
    """One page of a ranking; `own` are the user's items among which reasons are looked for."""
    rows, distances = _page(snapshot, query, ranking)
    if len(rows) and rows[-1] == NO_ROW:
        listed = rows != NO_ROW
        rows, distances = rows[listed], distances[listed]

    def describe() -> list[Recommended]:
        reasons: list[tuple[Because, ...]] = [()] * len(rows)
        if own is not None and query.because:
            reasons = because(snapshot, own, rows, query.because)
        items = []
        for row, distance, reason in zip(rows.tolist(), distances.tolist(), reasons, strict=True):
            item_id, record = snapshot.card(row)
            items.append(Recommended(item_id, row, distance, None, record, reason))
        return items

    skipped += _without_place(snapshot, query)
    return Recommendations(
        snapshot.version, strategy, query.k, query.offset, rows, distances, True, describe, skipped
    )


def because(
    snapshot: Snapshot, own: NDArray[np.integer], item_rows: NDArray[np.integer], n: int
) -> list[tuple[Because, ...]]:
    """For each item the n of the user's own items that are nearest to it, nearest first."""
    own_vectors, vectors = snapshot.stock.vectors(own), snapshot.stock.vectors(item_rows)
    return [_nearest_own(snapshot, own, squared_distances(vector, own_vectors), n) for vector in vectors]


def _nearest_own(
    snapshot: Snapshot, own: NDArray[np.integer], squared: NDArray[np.float32], n: int
) -> tuple[Because, ...]:
    first = smallest(squared, n)
    reasons = []
    for row, distance in zip(own[first].tolist(), np.sqrt(squared[first]).tolist(), strict=True):
        item_id, record = snapshot.card(row)
        reasons.append(Because(item_id, distance, record))
    return tuple(reasons)


def _with_added(
    snapshot: Snapshot, user_row: int, selection: Selection | None, own: Ranking, reach: float
) -> Ranking:
    """A user's precomputed list with the added items that lie within its reach: what is farther may come later."""
    chosen = selection or Selection(None, np.empty(0, dtype=np.int64))
    rows, squared = chosen.added(snapshot.stock, snapshot.artifact.user_vectors[user_row])
    distances = np.sqrt(squared)
    near = distances < reach
    return Ranking(*merged(own, (rows[near], distances[near]), len(own.rows) + int(near.sum())))


def _without_place(snapshot: Snapshot, query: Query) -> tuple[str, ...]:
    """The allowed ids of which no distance is known."""
    stock = snapshot.stock
    if query.allow is None or stock.n_placed == len(stock):
        return ()
    return tuple(item_id for item_id in query.allow if stock.find(item_id) >= stock.n_placed)


def _needed(query: Query) -> int:
    """How much of a ranking decides the page: diversity chooses from the same pool for every page."""
    return max(query.end, POOL) if query.diversity else query.end


def _page(snapshot: Snapshot, query: Query, ranking: Ranking) -> Ranking:
    rows, distances = ranking
    if query.max_distance is not None:
        near = distances <= query.max_distance
        rows, distances = rows[near], distances[near]
    if query.diversity:
        pool = rows[:POOL]
        pool = pool[pool != NO_ROW]
        vectors = snapshot.stock.vectors(pool)
        order = mmr_order(distances[: len(pool)], vectors, query.diversity, query.end)
        rows = np.concatenate([pool[order], rows[POOL:]])
        distances = np.concatenate([distances[order], distances[POOL:]])
    page = slice(query.offset, query.end)
    return Ranking(rows[page], distances[page])

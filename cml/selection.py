"""Which items may appear in one list. Filters are exact, whatever the index kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.errors import QueryError
from cml.index import NO_ROW, ItemIndex, squared_distances
from cml.query import Query
from cml.snapshot import Snapshot
from cml.stock import Stock
from cml.vocabulary import UNKNOWN_ROW

_BLOCKED_NEAR = 256  # blocked rows that are first expected among the nearest
_NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of `mask` (None: all) without the `blocked` rows, which are ascending and distinct."""

    mask: NDArray[np.bool_] | None
    blocked: NDArray[np.integer]

    def keeps(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of these rows may appear; `NO_ROW` may not."""
        kept = rows != NO_ROW
        if self.mask is not None:
            kept &= self.mask[rows]
        if len(self.blocked):
            at = np.minimum(self.blocked.searchsorted(rows), len(self.blocked) - 1)
            kept &= self.blocked[at] != rows
        return kept

    def without(self, rows: list[int]) -> Selection:
        """The same selection without these rows."""
        if not rows:
            return self
        return Selection(self.mask, np.union1d(self.blocked, rows).astype(np.int64))

    def first(self, order: NDArray[np.integer], n: int) -> NDArray[np.integer]:
        """The first n selected rows of an order; looks at more and more of it until there are enough."""
        window = 4 * (n + len(self.blocked))
        while True:
            kept = order[:window][self.keeps(order[:window])]
            if len(kept) >= n or window >= len(order):
                return kept[:n]
            window *= 8

    def nearest(
        self, stock: Stock, point: NDArray[np.float32], n: int
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """The first n (or all) selected items by distance from a point: (rows, squared distances)."""
        own = self._nearest_own(stock.artifact.index, point, n)
        return own if stock.added is None else merged(own, self.added(stock, point), n)

    def added(
        self, stock: Stock, point: NDArray[np.float32]
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """The selected items among the added ones, ascending: (rows, squared distances from a point)."""
        rows, vectors = stock.added_rows, stock.added_vectors
        kept = self.keeps(rows)
        if not kept.all():
            rows, vectors = rows[kept], vectors[kept]
        return rows, squared_distances(point, vectors)

    def _nearest_own(
        self, index: ItemIndex, point: NDArray[np.float32], n: int
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        points = point[None, :]
        if self.mask is None:
            # Fetching more and dropping the blocked ones is cheaper than telling the index about them. Of many
            # blocked ones few are near: a longer list, which begins with the shorter one, is rarely needed.
            most = min(n + len(self.blocked), len(index.vectors))
            fetch = min(n + _BLOCKED_NEAR, most)
            while True:
                rows, squared = index.search(points, fetch)
                kept = np.flatnonzero(self.keeps(rows[0]))[:n]
                if len(kept) == n or fetch == most:
                    return rows[0, kept], squared[0, kept]
                fetch = min(4 * fetch, most)
        allowed = np.flatnonzero(self.mask[: len(index.vectors)])
        allowed = allowed[self.keeps(allowed)]
        rows, squared = index.search_among(points, min(n, len(allowed)), allowed)
        return rows[0], squared[0]


def merged(
    own: tuple[NDArray[np.integer], NDArray[np.float32]],
    added: tuple[NDArray[np.integer], NDArray[np.float32]],
    n: int,
) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
    """The first n of both by (distance, row): own ones are in that order, added ones have larger rows."""
    rows, distances = (np.concatenate(pair) for pair in zip(own, added, strict=True))
    first = np.argsort(distances, kind="stable")[:n]
    return rows[first], distances[first]


def select(
    snapshot: Snapshot, query: Query, seen: NDArray[np.integer] = _NOTHING
) -> tuple[Selection, tuple[str, ...]]:
    """The selection that a query asks for, and the ids in it that the version does not know.

    `seen` are the (ascending) rows of the user's own items, left out if the query says so. Raises QueryError.
    """
    excluded, unknown = _rows(snapshot, query.exclude)
    mask = None
    if query.allow is not None:
        allowed, more = _rows(snapshot, query.allow)
        unknown += more
        mask = np.zeros(snapshot.n_items, dtype=bool)
        mask[allowed] = True
    if query.where:
        mask = _both(mask, snapshot.stock.matching(query.where))
    if query.available_at is not None:
        mask = _both(mask, _available(snapshot, query.available_at))
    parts = [
        part for part in (seen if query.exclude_seen else _NOTHING, excluded, snapshot.hidden) if len(part)
    ]
    blocked = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts)) if parts else _NOTHING
    return Selection(mask, blocked), tuple(dict.fromkeys(unknown))


def _rows(snapshot: Snapshot, item_ids: object) -> tuple[NDArray[np.int64], list[str]]:
    """Ascending rows of the known ids, and the unknown ids."""
    ids = list(item_ids)  # type: ignore[call-overload]
    rows = snapshot.stock.rows(ids)
    unknown = [item_id for item_id, row in zip(ids, rows, strict=True) if row == UNKNOWN_ROW]
    return np.unique(rows[rows != UNKNOWN_ROW]), unknown


def _available(snapshot: Snapshot, moment: object) -> NDArray[np.bool_] | None:
    try:
        return snapshot.stock.available(moment)
    except (TypeError, ValueError, OverflowError):
        raise QueryError(
            f"available_at = {moment!r}: not a date, ISO 8601 text or seconds since 1970"
        ) from None


def _both(first: NDArray[np.bool_] | None, second: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second

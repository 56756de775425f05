"""Which items may appear in one list. Filters are exact, whatever the index kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.chosen import Chosen, found
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
    """The `chosen` items (None: all) without the `blocked` rows, which are ascending and distinct."""

    chosen: Chosen | None
    blocked: NDArray[np.integer]

    def keeps(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of these rows may appear; `NO_ROW` may not."""
        kept = rows != NO_ROW
        if self.chosen is not None:
            kept &= self.chosen.has(rows)
        if len(self.blocked):
            kept &= ~found(rows, self.blocked)
        return kept

    def without(self, rows: list[int]) -> Selection:
        """The same selection without these rows."""
        if not rows:
            return self
        return Selection(self.chosen, np.union1d(self.blocked, rows).astype(np.int64))

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
        if self.chosen is None:
            # Fetching more and dropping the blocked ones is cheaper than telling the index about them. Of many
            # blocked ones few are near: a longer list, which begins with the shorter one, is rarely needed.
            most = min(n + len(self.blocked), len(index.vectors))
            fetch = min(n + _BLOCKED_NEAR, most)
            while True:
                rows, squared = index.nearest(point, fetch)
                kept = np.flatnonzero(self.keeps(rows))[:n]
                if len(kept) == n or fetch == most:
                    return rows[kept], squared[kept]
                fetch = min(4 * fetch, most)
        return index.nearest_among(point, n, self._own_rows(self.chosen, len(index.vectors)))

    def _own_rows(self, chosen: Chosen, n_own: int) -> NDArray[np.int64]:
        """The selected rows below `n_own`, ascending."""
        rows = chosen.rows()
        rows = rows[: rows.searchsorted(n_own)]
        return np.delete(rows, rows.searchsorted(self.blocked[found(self.blocked, rows)]))


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
    chosen = None
    if query.allow is not None:
        allowed, more = _rows(snapshot, query.allow)
        unknown += more
        chosen = Chosen.of_rows(allowed, snapshot.n_items)
    if query.where:
        chosen = _both(chosen, snapshot.stock.matching(query.where))
    if query.available_at is not None:
        chosen = _both(chosen, _available(snapshot, query.available_at))
    parts = [
        part for part in (seen if query.exclude_seen else _NOTHING, excluded, snapshot.hidden) if len(part)
    ]
    blocked = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts)) if parts else _NOTHING
    return Selection(chosen, blocked), tuple(dict.fromkeys(unknown))


def _rows(snapshot: Snapshot, item_ids: Iterable[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Ascending rows of the known ids, and the unknown ids."""
    ids = list(item_ids)
    if not ids:
        return _NOTHING, []
    rows = snapshot.stock.rows(ids)
    unknown = [item_id for item_id, row in zip(ids, rows, strict=True) if row == UNKNOWN_ROW]
    return np.unique(rows[rows != UNKNOWN_ROW]), unknown


def _available(snapshot: Snapshot, moment: object) -> Chosen | None:
    try:
        available = snapshot.stock.available(moment)
        return None if available is None else Chosen.of_mask(available)
    except (TypeError, ValueError, OverflowError):
        raise QueryError(
            f"available_at = {moment!r}: not a date, ISO 8601 text or seconds since 1970"
        ) from None


def _both(first: Chosen | None, second: Chosen | None) -> Chosen | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second

"""The items of a version together with those that came since, by row: ids, places, metadata.

The version's own items have the rows of its arrays. Added ones follow: those with a place in the order of their
arrival, then those without. Whoever asks need not know which is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.additions import Addition, Additions
from cml.artifact import Artifact
from cml.blocks import conditions_present, kept_filters
from cml.chosen import Chosen
from cml.errors import QueryError
from cml.item_changes import kinds_of
from cml.vocabulary import UNKNOWN_ROW

_IDS = 32_768  # item ids whose row is kept
_CARDS = 4_096  # items whose metadata is kept as Python objects, which are large
_NO_ROWS = np.empty(0, dtype=np.int64)


class Card(NamedTuple):
    """What is shown of an item."""

    item_id: str
    record: dict[str, Any]


class OwnItems:
    """The items that a version was made with, and what is kept ready about them."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        # The caches know the artifact and nothing else: in a reference cycle it would outlive its swap.
        self.card = lru_cache(maxsize=_CARDS)(partial(_card, artifact))
        self.find = lru_cache(maxsize=_IDS)(artifact.items.find)
        self.matching = kept_filters(artifact.catalogue)


class Stock:
    """A version's own items and the added ones."""

    def __init__(self, own: OwnItems, added: Additions | None = None) -> None:
        artifact = own.artifact
        self._own = own
        self.artifact = artifact
        self.added = added if added is not None and len(added) else None
        self.n_own = len(artifact.items)
        self.n_placed = self.n_own + (
            len(added.vectors) if added else 0
        )  # the rows from here on have no place

    def __len__(self) -> int:
        return self.n_own + (0 if self.added is None else len(self.added))

    def card(self, row: int) -> Card:
        """What is shown of the item in a row."""
        if self.added is None or row < self.n_own:
            return self._own.card(row)
        at = row - self.n_own
        return Card(self.added[at].item_id, self.added.record(at))

    def find(self, item_id: str) -> int:
        """Row of an item, `UNKNOWN_ROW` for one that is neither the version's own nor added."""
        row = self._own.find(item_id)
        if row != UNKNOWN_ROW or self.added is None:
            return row
        at = self.added.find(item_id)
        return UNKNOWN_ROW if at is None else self.n_own + at

    def find_placed(self, item_id: str) -> int:
        """Row of an item that has a place, else `UNKNOWN_ROW`."""
        row = self.find(item_id)
        return row if row < self.n_placed else UNKNOWN_ROW

    def rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """`find` for many."""
        rows = self.artifact.items.rows(item_ids)
        if self.added is not None:
            for at in np.flatnonzero(rows == UNKNOWN_ROW).tolist():
                position = self.added.find(item_ids[at])
                rows[at] = UNKNOWN_ROW if position is None else self.n_own + position
        return rows

    def vectors(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """(len(rows), dim): where these items are; each must have a place."""
        if self.added is None:
            return self.artifact.item_vectors[rows]
        added = rows >= self.n_own
        vectors = np.empty((len(rows), self.artifact.item_vectors.shape[1]), dtype=np.float32)
        vectors[~added] = self.artifact.item_vectors[rows[~added]]
        vectors[added] = self.added.vectors[rows[added] - self.n_own]
        return vectors

    @property
    def added_rows(self) -> NDArray[np.int64]:
        """Rows of the added items that have a place, ascending."""
        return _NO_ROWS if self.added is None else np.arange(self.n_own, self.n_placed)

    @property
    def added_vectors(self) -> NDArray[np.float32]:
        """(len(added_rows), dim): where they are."""
        return self.artifact.item_vectors[:0] if self.added is None else self.added.vectors

    @cached_property
    def columns(self) -> dict[str, str]:
        """Metadata columns and their kinds."""
        return dict(kinds_of(self.artifact.catalogue) if self.added is None else self.added.kinds)

    def matching(self, where: Mapping[str, Any]) -> Chosen:
        """The items that satisfy the conditions; see `Catalogue.matching`. Raises QueryError."""
        try:
            key = orjson.dumps(where, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:
            raise QueryError(
                f"filter {where!r}: {error}; conditions are texts, numbers, dates and lists"
            ) from None
        if self.added is None:
            return self._own.matching(key)
        given, kinds = orjson.loads(key), self.added.kinds
        new = self.added.matching(given)
        present, rest_holds = conditions_present(self.artifact.catalogue.columns, given, kinds)
        own = self._own.matching(present)
        return (own if rest_holds else Chosen.of_rows(_NO_ROWS, self.n_own)).followed_by(new)

    def available(self, moment: Any) -> NDArray[np.bool_] | None:
        """Mask of the items available at a moment; None where no item says when it is. See `Catalogue`."""
        own = self.artifact.catalogue.available(moment)
        added = None if self.added is None else self.added.available(moment)
        if self.added is None or (own is None and added is None):
            return own
        own = np.ones(self.n_own, dtype=bool) if own is None else own
        added = np.ones(len(self.added), dtype=bool) if added is None else added
        return np.concatenate([own, added])

    def search_titles(self, query: str, limit: int) -> list[int]:
        """Rows of items whose title holds every word of the query, best first; see `Catalogue`."""
        if self.added is None:
            return self.artifact.catalogue.search_titles(query, limit)
        ranks = self.artifact.catalogue.title_ranks(query)
        ranks |= {self.n_own + at: rank for at, rank in self.added.title_ranks(query).items()}
        return sorted(ranks, key=lambda row: (ranks[row], row))[:limit]

    def addition(self, row: int) -> Addition | None:
        """The added item in a row, None for one of the version's own."""
        return None if self.added is None or row < self.n_own else self.added[row - self.n_own]


def _card(artifact: Artifact, row: int) -> Card:
    return Card(artifact.items[row], artifact.catalogue.record(row))

"""A model version in memory, ready to answer: immutable, shared by all requests, swapped whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cml.additions import Additions
from cml.artifact import Artifact
from cml.errors import QueryError, VocabularyError
from cml.fold_in import FoldIn
from cml.index import ItemIndex
from cml.registry import Registry
from cml.stock import Card, OwnItems, Stock
from cml.storage.place import Place
from cml.vocabulary import UNKNOWN_ROW

TEMPERATURE = 0.3  # of the fold-in where the config does not say what the model was trained with


class Order(NamedTuple):
    """Items from the best score to the worst, equal ones by row."""

    name: str
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]  # (n_items,), by row

    @classmethod
    def by(cls, name: str, scores: NDArray[np.float64], above: float | None = None) -> Order:
        """All items, or those whose score is known and greater than `above`."""
        rows = np.argsort(-scores, kind="stable")
        return cls(name, rows if above is None else rows[scores[rows] > above], scores)

    def with_added(self, rows: NDArray[np.int64], scores: NDArray[np.float64], n_items: int) -> Order:
        """The order with added items among the others, each behind those with the same score."""
        all_scores = np.zeros(n_items)
        all_scores[: len(self.scores)] = self.scores
        all_scores[rows] = scores
        rows = rows[np.argsort(-scores, kind="stable")]
        places = np.searchsorted(-self.scores[self.rows], -all_scores[rows], side="right")
        return Order(self.name, np.insert(self.rows, places, rows), all_scores)


class Made:
    """What is made of an artifact when it is first needed, and shared by all snapshots of it."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self.items = OwnItems(artifact)

    @cached_property
    def user_index(self) -> ItemIndex:
        """Finds the users nearest to points."""
        return ItemIndex(self._artifact.user_vectors)

    @cached_property
    def fold_in(self) -> FoldIn:
        """Places users outside training among the version's own items."""
        config = self._artifact.config
        temperature = config.get("train", {}).get("temperature", TEMPERATURE)
        items, radius = self._artifact.item_vectors, self._artifact.manifest.radius
        if radius is None:  # no ball: strangers stay as near to the centre as the items do
            radius = float(np.linalg.norm(items, axis=1).max())
        return FoldIn(items, temperature=temperature, radius=radius, users=self._artifact.user_vectors)

    @cached_property
    def orders(self) -> dict[str, Order]:
        """The own items in the orders that are the same for everybody."""
        orders = {"popular": Order.by("popular", self._artifact.popularity)}
        if self._artifact.trending is not None:
            orders["trending"] = Order.by("trending", self._artifact.trending, above=0.0)
        if self._artifact.first_seen is not None:
            orders["recent"] = Order.by("recent", self._artifact.first_seen, above=-np.inf)
        return orders


class Snapshot:
    """An artifact with its index and version name, what was added to it, and what must not appear in answers.

    `erased` users count as unknown; `hidden` items are in no list; `added` items are like the version's own,
    without a history. Changing any of them makes a new snapshot.
    """

    def __init__(
        self,
        artifact: Artifact,
        version: str,
        *,
        erased: Iterable[str] = (),
        hidden: Iterable[str] = (),
        added: Additions | None = None,
        made: Made | None = None,
    ) -> None:
        self.artifact = artifact
        self.version = version
        self._made = made or Made(artifact)
        self.stock = Stock(self._made.items, added)
        self.erased = frozenset(artifact.users.rows(erased).tolist()) - {UNKNOWN_ROW}
        hidden_rows = np.unique(self.stock.rows(list(hidden)))
        self.hidden: NDArray[np.int64] = hidden_rows[hidden_rows != UNKNOWN_ROW]

    @classmethod
    def load(cls, registry: Registry, version: str | None = None, *, verify: bool = True) -> Snapshot:
        """The snapshot of a published version (default: the current one). Raises CmlError."""
        name = version or registry.require_current()
        return cls(registry.load(name, verify=verify), name)

    def masked(
        self, *, erased: Iterable[str], hidden: Iterable[str], added: Additions | None = None
    ) -> Snapshot:
        """The same version with other erased users, hidden and added items; shares all arrays."""
        return Snapshot(
            self.artifact, self.version, erased=erased, hidden=hidden, added=added, made=self._made
        )

    @property
    def index(self) -> ItemIndex:
        """Finds the items nearest to points."""
        return self.artifact.index

    @property
    def user_index(self) -> ItemIndex:
        """Finds the users nearest to points."""
        return self._made.user_index

    @property
    def n_items(self) -> int:
        return len(self.stock)

    def user_row(self, user_id: str) -> int:
        """Row of a user, `UNKNOWN_ROW` for one that the version does not know or must not know any more."""
        row = self.artifact.users.find(user_id)
        return UNKNOWN_ROW if row in self.erased else row

    def require_item(self, item_id: str) -> int:
        """Row of an item. Raises VocabularyError when it is neither the version's own nor added."""
        row = self.stock.find(item_id)
        if row == UNKNOWN_ROW:
            raise VocabularyError(
                f"item {item_id!r} is not among the {self.n_items} items of version {self.version}"
            )
        return row

    def require_place(self, item_id: str) -> int:
        """Row of an item that has a place. Raises VocabularyError, and QueryError for one without."""
        row = self.require_item(item_id)
        if row >= self.stock.n_placed:
            addition = self.stock.addition(row)
            why = addition.reason if addition is not None else None
            raise QueryError(f"item {item_id!r} has no place in version {self.version}: {why}")
        return row

    def card(self, row: int) -> Card:
        """What is shown of the item in a row."""
        return self.stock.card(row)

    def seen_rows(self, user_row: int) -> NDArray[np.int32]:
        """Items that a user interacted with in the training data, ascending."""
        return self.artifact.seen_items[self._history(user_row)]

    def liked_rows(self, user_row: int) -> NDArray[np.int32]:
        """Items that a user liked in the training data, ascending."""
        history = self._history(user_row)
        return self.artifact.seen_items[history][self.artifact.seen_liked[history]]

    def users_of(self, item_row: int) -> NDArray[np.int64]:
        """Users who interacted with an item in the training data, ascending."""
        if item_row >= self.stock.n_own:
            return np.empty(0, dtype=np.int64)
        pairs = np.flatnonzero(self.artifact.seen_items == item_row)
        return self.artifact.seen_indptr.searchsorted(pairs, side="right") - 1

    @cached_property
    def fold_in(self) -> FoldIn:
        """Places users outside training."""
        own = self._made.fold_in
        return own if self.stock.added is None else own.knowing(self.stock.vectors)

    def order(self, name: str) -> Order:
        """The items in the order that is the same for everybody: `popular`, `trending` or `recent`.

        Without times in the data it is `popular`, whatever was asked for. Raises QueryError for another name.
        """
        if name not in ("popular", "trending", "recent"):
            raise QueryError(f"list {name!r}: there are popular, trending and recent")
        return self._orders.get(name) or self._orders["popular"]

    @cached_property
    def _orders(self) -> dict[str, Order]:
        """Added items are the last of the popular ones and, by the time when they came, among the recent ones."""
        orders, added = self._made.orders, self.stock.added
        if added is None:
            return orders
        rows, n_items = np.arange(self.stock.n_own, self.n_items), self.n_items
        extended = {"popular": orders["popular"].with_added(rows, np.zeros(len(rows)), n_items)}
        if "recent" in orders:
            timed = np.isfinite(added.added_at)
            extended["recent"] = orders["recent"].with_added(rows[timed], added.added_at[timed], n_items)
        return orders | extended

    def _history(self, user_row: int) -> slice:
        indptr = self.artifact.seen_indptr
        return slice(int(indptr[user_row]), int(indptr[user_row + 1]))


def load_snapshot(models: Place, version: str | None = None) -> Snapshot:
    """The snapshot of a version in the registry at `models` (default: the current one), fully verified."""
    return Snapshot.load(Registry(models), version)

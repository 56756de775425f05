"""A model version in memory, ready to answer: immutable, shared by all requests, swapped whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.artifact import Artifact
from cml.catalogue import Catalogue
from cml.errors import QueryError, VocabularyError
from cml.fold_in import FoldIn
from cml.index import ItemIndex
from cml.registry import Registry
from cml.vocabulary import UNKNOWN_ROW

TEMPERATURE = 0.3  # of the fold-in where the config does not say what the model was trained with
_CARDS = 32_768  # items whose id and metadata are kept as Python objects
_MASKS = 16  # filters whose result is kept; one byte an item each


class Card(NamedTuple):
    """What is shown of an item."""

    item_id: str
    record: dict[str, Any]


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


class Snapshot:
    """An artifact with its index and version name, and the users and items that must not appear in answers.

    `erased` users count as unknown; `hidden` items are in no list. Changing either makes a new snapshot.
    """

    def __init__(
        self, artifact: Artifact, version: str, *, erased: Iterable[str] = (), hidden: Iterable[str] = ()
    ) -> None:
        self.artifact = artifact
        self.version = version
        self.erased = frozenset(artifact.users.rows(erased).tolist()) - {UNKNOWN_ROW}
        hidden_rows = np.unique(artifact.items.rows(hidden))
        self.hidden: NDArray[np.int64] = hidden_rows[hidden_rows != UNKNOWN_ROW]
        # The caches know the artifact, not the snapshot: a snapshot in a reference cycle would outlive its swap.
        self.card = lru_cache(maxsize=_CARDS)(partial(_card, artifact))
        self._mask = lru_cache(maxsize=_MASKS)(partial(_matching, artifact.catalogue))

    @classmethod
    def load(cls, registry: Registry, version: str | None = None, *, verify: bool = True) -> Snapshot:
        """The snapshot of a published version (default: the current one). Raises CmlError."""
        name = version or registry.require_current()
        return cls(registry.load(name, verify=verify), name)

    def masked(self, *, erased: Iterable[str], hidden: Iterable[str]) -> Snapshot:
        """The same version with other erased users and hidden items; shares all arrays."""
        return Snapshot(self.artifact, self.version, erased=erased, hidden=hidden)

    @property
    def index(self) -> ItemIndex:
        """Finds the items nearest to points."""
        return self.artifact.index

    @cached_property
    def user_index(self) -> ItemIndex:
        """Finds the users nearest to points."""
        return ItemIndex(self.artifact.user_vectors)

    @property
    def n_items(self) -> int:
        return len(self.artifact.items)

    def user_row(self, user_id: str) -> int:
        """Row of a user, `UNKNOWN_ROW` for one that the version does not know or must not know any more."""
        row = self.artifact.users.find(user_id)
        return UNKNOWN_ROW if row in self.erased else row

    def require_item(self, item_id: str) -> int:
        """Row of an item. Raises VocabularyError when the version does not know it."""
        row = self.artifact.items.find(item_id)
        if row == UNKNOWN_ROW:
            raise VocabularyError(
                f"item {item_id!r} is not among the {self.n_items} items of version {self.version}"
            )
        return row

    def seen_rows(self, user_row: int) -> NDArray[np.int32]:
        """Items that a user interacted with in the training data, ascending."""
        return self.artifact.seen_items[self._history(user_row)]

    def liked_rows(self, user_row: int) -> NDArray[np.int32]:
        """Items that a user liked in the training data, ascending."""
        history = self._history(user_row)
        return self.artifact.seen_items[history][self.artifact.seen_liked[history]]

    def users_of(self, item_row: int) -> NDArray[np.int64]:
        """Users who interacted with an item in the training data, ascending."""
        pairs = np.flatnonzero(self.artifact.seen_items == item_row)
        return self.artifact.seen_indptr.searchsorted(pairs, side="right") - 1

    def matching(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Mask of the items that satisfy the conditions; see `Catalogue.matching`. Raises QueryError."""
        try:
            key = orjson.dumps(where, option=orjson.OPT_SORT_KEYS)
        except TypeError as error:
            raise QueryError(
                f"filter {where!r}: {error}; conditions are texts, numbers, dates and lists"
            ) from None
        return self._mask(key)

    @cached_property
    def fold_in(self) -> FoldIn:
        """Places users outside training."""
        config = self.artifact.config
        temperature = config.get("train", {}).get("temperature", TEMPERATURE)
        items, radius = self.artifact.item_vectors, self.artifact.manifest.radius
        if radius is None:  # no ball: strangers stay as near to the centre as the items do
            radius = float(np.linalg.norm(items, axis=1).max())
        return FoldIn(items, temperature=temperature, radius=radius)

    def order(self, name: str) -> Order:
        """The items in the order that is the same for everybody: `popular`, `trending` or `recent`.

        Without times in the data it is `popular`, whatever was asked for. Raises QueryError for another name.
        """
        if name not in ("popular", "trending", "recent"):
            raise QueryError(f"list {name!r}: there are popular, trending and recent")
        return self._orders.get(name) or self._orders["popular"]

    @cached_property
    def _orders(self) -> dict[str, Order]:
        orders = {"popular": Order.by("popular", self.artifact.popularity)}
        if self.artifact.trending is not None:
            orders["trending"] = Order.by("trending", self.artifact.trending, above=0.0)
        if self.artifact.first_seen is not None:
            orders["recent"] = Order.by("recent", self.artifact.first_seen, above=-np.inf)
        return orders

    def _history(self, user_row: int) -> slice:
        indptr = self.artifact.seen_indptr
        return slice(int(indptr[user_row]), int(indptr[user_row + 1]))


def load_snapshot(models: Path, version: str | None = None) -> Snapshot:
    """The snapshot of a version in the registry at `models` (default: the current one), fully verified."""
    return Snapshot.load(Registry(models), version)


def _card(artifact: Artifact, row: int) -> Card:
    return Card(artifact.items[row], artifact.catalogue.record(row))


def _matching(catalogue: Catalogue, key: bytes) -> NDArray[np.bool_]:
    mask = catalogue.matching(orjson.loads(key))
    mask.flags.writeable = False
    return mask

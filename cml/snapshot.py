"""A model version in memory, ready to answer: immutable, shared by all requests, swapped whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.artifact import Artifact
from cml.errors import QueryError, VocabularyError
from cml.index import ItemIndex
from cml.registry import Registry
from cml.vocabulary import UNKNOWN_ROW

_CARDS = 32_768  # items whose id and metadata are kept as Python objects
_MASKS = 16  # filters whose result is kept; one byte an item each


class Card(NamedTuple):
    """What is shown of an item."""

    item_id: str
    record: dict[str, Any]


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
        self.card = lru_cache(maxsize=_CARDS)(self._card)
        self._mask = lru_cache(maxsize=_MASKS)(self._matching)

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
    def popular_rows(self) -> NDArray[np.int64]:
        """All items, the most liked first."""
        return np.argsort(-self.artifact.popularity, kind="stable")

    @cached_property
    def trending_rows(self) -> NDArray[np.int64] | None:
        """Items with recent likes, strongest first; None when the version knows no times."""
        scores = self.artifact.trending
        if scores is None:
            return None
        order = np.argsort(-scores, kind="stable")
        return order[scores[order] > 0]

    @cached_property
    def recent_rows(self) -> NDArray[np.int64] | None:
        """Items with a known first interaction, the newest first; None when the version knows no times."""
        times = self.artifact.first_seen
        if times is None:
            return None
        order = np.argsort(-times, kind="stable")  # NaN sorts last
        return order[np.isfinite(times[order])]

    def _history(self, user_row: int) -> slice:
        indptr = self.artifact.seen_indptr
        return slice(int(indptr[user_row]), int(indptr[user_row + 1]))

    def _card(self, row: int) -> Card:
        return Card(self.artifact.items[row], self.artifact.catalogue.record(row))

    def _matching(self, key: bytes) -> NDArray[np.bool_]:
        mask = self.artifact.catalogue.matching(orjson.loads(key))
        mask.flags.writeable = False
        return mask


def load_snapshot(models: Path, version: str | None = None) -> Snapshot:
    """The snapshot of a version in the registry at `models` (default: the current one), fully verified."""
    return Snapshot.load(Registry(models), version)

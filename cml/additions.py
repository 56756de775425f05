"""Items that a version was not made with: who they are, where they are, what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.arrivals import Addition, Arrivals
from cml.artifact import Artifact
from cml.errors import QueryError
from cml.item_changes import kinds_of, kinds_with

__all__ = ["Addition", "Additions"]


class Additions:
    """Items added to a version, those with a place first, each part in the order of arrival.

    Never changes. `changed` makes another one out of it: an item that arrives last costs what that item costs, however
    many there are; one that came before costs a pass over those since.
    """

    def __init__(
        self, own: Mapping[str, str], kinds: Mapping[str, str], placed: Arrivals, lost: Arrivals
    ) -> None:
        self._own = own  # columns of the version's own items, and their kinds
        self.kinds = kinds  # of all columns
        self.parts = placed, lost

    @classmethod
    def none(cls, artifact: Artifact) -> Additions:
        """No additions to this version yet; metadata will take the kinds of its columns."""
        own = kinds_of(artifact.catalogue)
        dim = artifact.item_vectors.shape[1]
        return cls(own, own, Arrivals.none(dim, own), Arrivals.none(0, own))

    @classmethod
    def of(cls, items: Iterable[Addition], artifact: Artifact) -> Additions:
        """These additions to this version."""
        return cls.none(artifact).changed(items)

    def changed(self, come: Iterable[Addition], gone: Iterable[str] = ()) -> Additions:
        """These with other items, which take the place of those with the same id, and without the `gone` ids."""
        come = list(come)
        leaving = {*gone, *(item.item_id for item in come)}
        kinds = self._kinds_after(come, leaving)
        return Additions(
            self._own,
            kinds,
            self.parts[0].changed([item for item in come if item.vector is not None], leaving, kinds),
            self.parts[1].changed([item for item in come if item.vector is None], leaving, kinds),
        )

    def make_ready(self) -> None:
        """Make now what is otherwise made when it is first asked for."""
        for part in self.parts:
            part.make_ready()

    def fits(self, artifact: Artifact) -> bool:
        """Whether the version's own items have the columns that these were made for."""
        return self._own == kinds_of(artifact.catalogue)

    def __len__(self) -> int:
        return len(self.parts[0]) + len(self.parts[1])

    def __getitem__(self, at: int) -> Addition:
        part, at = self._part(at)
        return part[at]

    def find(self, item_id: str) -> int | None:
        """Where an item stands, None for one that is not among these."""
        at = self.parts[0].find(item_id)
        if at is None and len(self.parts[1]):
            at = self.parts[1].find(item_id)
            return None if at is None else len(self.parts[0]) + at
        return at

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(placed, dim): where the first `placed` items are; the others have no place."""
        return self.parts[0].vectors

    @cached_property
    def added_at(self) -> NDArray[np.float64]:
        """Seconds since 1970, NaN unknown."""
        return np.array([item.added_at for part in self.parts for item in part], dtype=np.float64)

    def record(self, at: int) -> dict[str, Any]:
        """The item's metadata; see `Catalogue.record`."""
        part, at = self._part(at)
        return part.record(at)

    def matching(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Mask of the items that satisfy the conditions; see `Catalogue.matching`. Raises QueryError."""
        for name in where:
            if name not in self.kinds:
                known = ", ".join(self.kinds) or "none"
                raise QueryError(f"filter on {name!r}: no such column; this catalogue has: {known}")
        return np.concatenate([part.matching(where, self.kinds) for part in self.parts])

    def available(self, moment: Any) -> NDArray[np.bool_] | None:
        """Mask of the items available at a moment; None where no item says when it is. See `Catalogue`."""
        masks = [part.available(moment) for part in self.parts]
        if all(mask is None for mask in masks):
            return None
        parts = zip(self.parts, masks, strict=True)
        return np.concatenate(
            [np.ones(len(part), dtype=bool) if mask is None else mask for part, mask in parts]
        )

    def title_ranks(self, query: str) -> dict[int, tuple[int, int]]:
        """How well the items' titles match, by position; see `Catalogue`."""
        after = len(self.parts[0])
        return self.parts[0].title_ranks(query) | {
            after + at: rank for at, rank in self.parts[1].title_ranks(query).items()
        }

    def _part(self, at: int) -> tuple[Arrivals, int]:
        n_placed = len(self.parts[0])
        return (self.parts[0], at) if at < n_placed else (self.parts[1], at - n_placed)

    def _kinds_after(self, come: list[Addition], leaving: set[str]) -> Mapping[str, str]:
        """The kinds of all columns after a change. A new column is of the kind of its first value by arrival."""
        replaced = [self[at] for item_id in leaving if (at := self.find(item_id)) is not None]
        if not any(item.metadata.keys() - self._own.keys() for item in (*come, *replaced)):
            return self.kinds
        parts = self.parts
        latest = max((part[len(part) - 1].arrival for part in parts if len(part)), default=-np.inf)
        if not replaced and all(item.arrival >= latest for item in come):
            return kinds_with((item.metadata for item in sorted(come, key=_arrival)), self.kinds)
        stay = [item for part in parts for item in part if item.item_id not in leaving]
        return kinds_with((item.metadata for item in sorted([*stay, *come], key=_arrival)), self._own)


def _arrival(item: Addition) -> float:
    return item.arrival

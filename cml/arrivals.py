"""Added items in the order of their arrival: sequences that never change, the longer ones sharing what all hold."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.blocks import Block

# Metadata is held in blocks that are made when they are first asked and then stay: large ones of the items that came
# first, small ones of the last few, so that one more item makes little anew and a filter looks into few.
_LARGE, _SMALL = 256, 16
_LEAST_CAPACITY = 64


@dataclass(frozen=True, eq=False, slots=True)
class Addition:
    """An item that a version was not made with. Without a place, `reason` says why."""

    item_id: str
    metadata: Mapping[str, Any]
    added_at: float  # seconds since 1970, NaN unknown
    vector: NDArray[np.float32] | None = None
    reason: str | None = None

    @property
    def arrival(self) -> float:
        """What orders them: unknown times come first."""
        return 0.0 if math.isnan(self.added_at) else self.added_at


class Arrivals(Sequence[Addition]):
    """Items in the order of arrival, with what is looked up by position."""

    def __init__(self, shelf: _Shelf, n: int, blocks: tuple[Block, ...], kinds: Mapping[str, str]) -> None:
        self._shelf = shelf
        self._n = n
        self._blocks = blocks
        self._kinds = kinds
        self.vectors = shelf.vectors[:n]  # (n, dim), where the items have places

    @classmethod
    def none(cls, dim: int, kinds: Mapping[str, str]) -> Arrivals:
        """No items yet, whose vectors will have so many numbers and whose metadata these kinds."""
        return cls(_Shelf(dim), 0, (), kinds)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, at):  # type: ignore[no-untyped-def]
        if isinstance(at, slice):
            return self._shelf.items[: self._n][at]
        if not -self._n <= at < self._n:
            raise IndexError(f"position {at} of {self._n}")
        return self._shelf.items[at % self._n]

    def __iter__(self) -> Iterator[Addition]:
        return islice(self._shelf.items, self._n)

    def find(self, item_id: str) -> int | None:
        """Where an item stands, None for one that is not among these."""
        at = self._shelf.positions.get(item_id)
        return at if at is not None and at < self._n else None

    def changed(self, come: Sequence[Addition], leaving: set[str], kinds: Mapping[str, str]) -> Arrivals:
        """These without the ids that leave and with those who come, under these kinds of columns."""
        come = sorted(come, key=_arrival)
        found = [at for item_id in leaving if (at := self.find(item_id)) is not None]
        begin = min([self._n, *found])
        if come:
            begin = bisect_right(self._shelf.items, come[0].arrival, hi=begin, key=_arrival)
        stay = [item for item in self[begin:] if item.item_id not in leaving]
        tail = sorted([*stay, *come], key=_arrival) if stay else come
        shelf, n = self._shelf, begin + len(tail)
        if begin < len(shelf.items) and (tail or begin < self._n):  # others' items stand there, or ours did
            shelf = shelf.beginning(begin)
        shelf.append(tail)
        return Arrivals(shelf, n, self._blocks_of(shelf, n, begin, kinds), kinds)

    def make_ready(self) -> None:
        """Make all metadata now."""
        for block in self._blocks:
            _ = block.catalogue

    def record(self, at: int) -> dict[str, Any]:
        """The item's metadata for JSON."""
        n_large = len(self) // _LARGE
        block = self._blocks[
            at // _LARGE if at < n_large * _LARGE else n_large + (at - n_large * _LARGE) // _SMALL
        ]
        return block.catalogue.record(at - block.begin)

    def matching(self, where: Mapping[str, Any], kinds: Mapping[str, str]) -> NDArray[np.bool_]:
        """Mask (n,) of the items that satisfy conditions on columns of these kinds. Raises QueryError."""
        masks = [block.matching(where, kinds) for block in self._blocks]
        return np.concatenate(masks) if masks else np.empty(0, dtype=bool)

    def available(self, moment: Any) -> NDArray[np.bool_] | None:
        """Mask (n,) of the items available at a moment; None where no item says when it is."""
        masks = [block.catalogue.available(moment) for block in self._blocks]
        if all(mask is None for mask in masks):
            return None
        pairs = zip(self._blocks, masks, strict=True)
        return np.concatenate(
            [np.ones(len(block.items), dtype=bool) if mask is None else mask for block, mask in pairs]
        )

    def title_ranks(self, query: str) -> dict[int, tuple[int, int]]:
        """How well the items' titles match, by position; smaller is better."""
        return {
            block.begin + at: rank
            for block in self._blocks
            for at, rank in block.catalogue.title_ranks(query).items()
        }

    def _blocks_of(self, shelf: _Shelf, n: int, begin: int, kinds: Mapping[str, str]) -> tuple[Block, ...]:
        """The blocks of n items, of which the first `begin` are ours: blocks with the same items are kept."""
        known: dict[tuple[int, int], Block] = {}
        if all(kinds.get(name, kind) == kind for name, kind in self._kinds.items()):
            known = {(block.begin, len(block.items)): block for block in self._blocks}
        blocks = []
        for first, last in _bounds(n):
            block = known.get((first, last - first))
            if block is None or not (last <= begin or block.items == tuple(shelf.items[first:last])):
                block = Block(first, tuple(shelf.items[first:last]), kinds)
            blocks.append(block)
        return tuple(blocks)


class _Shelf:
    """What several `Arrivals` hold together, each the beginning of it. It only grows at its end."""

    def __init__(self, dim: int) -> None:
        self.items: list[Addition] = []
        self.positions: dict[str, int] = {}
        self.vectors: NDArray[np.float32] = np.empty((_LEAST_CAPACITY, dim), dtype=np.float32)

    def beginning(self, n: int) -> _Shelf:
        """Another one with the first n items."""
        other = _Shelf(self.vectors.shape[1])
        other._reserve(n)
        other.items = self.items[:n]
        other.positions = {item.item_id: at for at, item in enumerate(other.items)}
        other.vectors[:n] = self.vectors[:n]
        return other

    def append(self, items: Sequence[Addition]) -> None:
        """Put items behind the others."""
        n = len(self.items)
        self._reserve(n + len(items))
        for at, item in enumerate(items, start=n):
            self.positions[item.item_id] = at
            if item.vector is not None:
                self.vectors[at] = item.vector
        self.items.extend(items)

    def _reserve(self, n: int) -> None:
        """Room for n vectors. Views of the vectors so far stay what they are."""
        if n > len(self.vectors):
            grown = np.empty((max(n, 2 * len(self.vectors)), self.vectors.shape[1]), dtype=np.float32)
            grown[: len(self.items)] = self.vectors[: len(self.items)]
            self.vectors = grown


def _bounds(n: int) -> list[tuple[int, int]]:
    """Where the blocks of n items begin and end."""
    n_large = n - n % _LARGE
    edges = [*range(0, n_large, _LARGE), *range(n_large, n, _SMALL), n]
    return list(pairwise(edges))


def _arrival(item: Addition) -> float:
    return item.arrival

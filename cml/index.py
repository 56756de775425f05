"""Nearest items to points of the metric space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from cml.cells import KIND, TARGET_RECALL, Cells, build_cells
from cml.codes import Codes
from cml.manifest import IndexInfo

NO_ROW = -1
CELLS_FROM = 200_000  # items; an exact search among fewer takes less than about 5 ms
_SLACK = 8  # items fetched beyond k, to prove that rounding did not push one of the first k out
_CODES_SLACK = 64  # the same for codes, whose distances are coarser
_BLOCK = 256  # points given to the library at once
_SCAN_BLOCK = 4096  # vectors whose distances are computed at once: they fit into the processor's cache
_ROUNDING = 4e-6  # bound of the error of a squared distance in the library, relative to the squared norms
_FEW = 64  # a selection of less than one item in so many is copied out instead of skipped through


IndexKind = Literal["auto", "exact", "cells"]


class ItemIndex:
    """Finds the items nearest to points, by Euclidean distance.

    The exact kind gives the true nearest ones in the order of (squared distance, row), whatever the number of
    points asked at once. The kind with cells may miss a few, as its measured recall says. With both a longer
    list begins with the shorter one, so pages fit together, and a search among some rows is exact.
    The vectors are used where they are (memory-mapped), never copied.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        info: IndexInfo | None = None,
        cells: Cells | None = None,
        codes: Codes | None = None,
    ) -> None:
        self.vectors = vectors
        self.info = info or IndexInfo()
        self._cells = cells
        self._codes = codes  # answers the same, faster for single points
        self._largest_square = float(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0))

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        points: NDArray[np.float32],
        kind: IndexKind = "auto",
        target_recall: float = TARGET_RECALL,
    ) -> ItemIndex:
        """An index of a kind (exact, cells, or auto: by the number of items), for points like these.

        Cells that do not reach the target recall on the points give way to exact search.
        """
        if kind == KIND or (kind == "auto" and len(vectors) >= CELLS_FROM):
            built = build_cells(vectors, points, target_recall)
            if built is not None:
                return cls(vectors, built[1], built[0])
        return cls(vectors)

    @classmethod
    def load(cls, vectors: NDArray[np.float32], info: IndexInfo, path: Path) -> ItemIndex:
        """The index that `save` wrote, memory-mapped, ready to answer single points. Raises ArtifactError."""
        if info.kind == KIND:
            return cls(vectors, info, cells=Cells.load(path, info))
        return cls(vectors, info, codes=Codes.where_they_help(vectors))

    def save(self, path: Path) -> None:
        """Write what the index needs besides the vectors; an exact index needs, and writes, nothing."""
        if self._cells is not None:
            self._cells.save(path)

    @property
    def exact(self) -> bool:
        """Whether `search` finds the true nearest items."""
        return self._cells is None

    def search(self, points: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Nearest items for each point: (rows, squared distances), each (len(points), k), nearest first.

        Shorter catalogues pad with row -1 and distance inf.
        """
        if self._cells is None:
            return self._collect(points, k, len(self.vectors), None)
        points = np.ascontiguousarray(points, dtype=np.float32)
        rows = np.full((len(points), k), NO_ROW, dtype=np.int64)
        squared = np.full((len(points), k), np.inf, dtype=np.float32)
        for begin in range(0, len(points), _BLOCK):
            staged = self._staged(self._cells, points[begin : begin + _BLOCK], k)
            for at, (near, near_squared) in enumerate(staged, start=begin):
                rows[at, : len(near)], squared[at, : len(near)] = near, near_squared
        return rows, squared

    def search_among(
        self, points: NDArray[np.float32], k: int, rows: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `search`, but only among the given distinct rows, and always exactly."""
        allowed = np.asarray(rows, dtype=np.int64)
        if np.any(allowed[1:] <= allowed[:-1]):
            allowed = np.sort(allowed)
        return self._collect(points, k, len(allowed), allowed)

    def _staged(
        self, cells: Cells, points: NDArray[np.float32], k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The first k items of each point: down to each depth what looking so deep adds to those before, then all.

        A position is settled by the first stage that reaches it, so that deeper searches do not change it.
        """
        nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        lists = [nothing] * len(points)
        for depth in (*sorted(cells.probes), len(self.vectors)):
            short = [at for at, (rows, _) in enumerate(lists) if len(rows) < k]
            if not short:
                break
            candidates = cells.candidates(points[short], depth) if depth in cells.probes else None
            for number, at in enumerate(short):
                near = None if candidates is None else candidates[number]
                lists[at] = self._deeper(points[at], lists[at], depth, k, near)
        return [(rows[:k], squared[:k]) for rows, squared in lists]

    def _deeper(
        self,
        point: NDArray[np.float32],
        so_far: tuple[NDArray[np.int64], NDArray[np.float32]],
        depth: int,
        k: int,
        candidates: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """A list down to a depth: what the candidates (None: all items) add to it."""
        rows, squared = so_far
        if candidates is None:
            found, found_squared = self._scan(point, min(k + len(rows), depth), None)
        else:
            candidates = candidates[candidates != NO_ROW]
            found, found_squared = _first(point, candidates, self.vectors[candidates], depth)
        fresh = np.flatnonzero(~np.isin(found, rows))[: depth - len(rows)] if len(rows) else slice(depth)
        return np.concatenate([rows, found[fresh]]), np.concatenate([squared, found_squared[fresh]])

    def _collect(
        self, points: NDArray[np.float32], k: int, available: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        points = np.ascontiguousarray(points, dtype=np.float32)
        rows = np.full((len(points), k), NO_ROW, dtype=np.int64)
        squared = np.full((len(points), k), np.inf, dtype=np.float32)
        found = min(k, available)
        if found:
            for at, (near, near_squared) in enumerate(self._nearest(points, found, available, allowed)):
                rows[at, :found], squared[at, :found] = near, near_squared
        return rows, squared

    def _nearest(
        self, points: NDArray[np.float32], k: int, available: int, allowed: NDArray[np.int64] | None
    ) -> Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The first k for each point, in the way that is cheapest for so many points and rows."""
        if allowed is not None and available * _FEW <= len(self.vectors):
            candidates = self.vectors[allowed]
            return [_first(point, allowed, candidates, k) for point in points]
        if (k + _SLACK) * 4 > available:
            return [self._scan(point, k, allowed) for point in points]
        if self._codes is not None and len(points) == 1:
            found = self._by_codes(self._codes, points[0], k, available, allowed)
            if found is not None:
                return [found]
        return self._by_library(points, k, allowed)

    def _by_codes(
        self,
        codes: Codes,
        point: NDArray[np.float32],
        k: int,
        available: int,
        allowed: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The first k of all, or None where the codes are too coarse to say."""
        fetch = min(2 * k + _CODES_SLACK, available)
        if allowed is None:
            rows, bound = codes.candidates(point, fetch)
        else:
            bits, selector = _selector(len(self.vectors), allowed)
            rows, bound = codes.candidates(point, fetch, selector)
            del bits  # only now: the selector reads them
        return self._proved(point, k, rows, bound)

    def _by_library(
        self, points: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for begin in range(0, len(points), _BLOCK):
            block = points[begin : begin + _BLOCK]
            rough, rows = _library_search(block, self.vectors, k + _SLACK, allowed)
            for at, point in enumerate(block):
                yield self._proved(point, k, rows[at], float(rough[at, -1])) or self._scan(point, k, allowed)

    def _proved(
        self, point: NDArray[np.float32], k: int, candidates: NDArray[np.int64], bound: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The first k of all, by way of candidates; None where there may be others (many equal vectors).

        `bound` is what the library says that no item outside the candidates is nearer than, in squared
        distance. Its distances depend on how many points it is given at once, so the candidates' are computed
        again in one way. The first k of them are the first k of all if the bound lies beyond the k-th by more
        than any rounding.
        """
        rows, squared = _first(point, candidates, self.vectors[candidates], k)
        tolerance = _ROUNDING * (float(point @ point) + self._largest_square)
        return (rows, squared) if squared[-1] + tolerance < bound else None

    def _scan(
        self, point: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first k of all, by computing every distance; in blocks, because vectors may fill the memory."""
        n = len(self.vectors) if allowed is None else len(allowed)
        squared = np.empty(n, dtype=np.float32)
        for begin in range(0, n, _SCAN_BLOCK):
            block = slice(begin, begin + _SCAN_BLOCK)
            vectors = self.vectors[block] if allowed is None else self.vectors[allowed[block]]
            squared[block] = squared_distances(point, vectors)
        first = smallest(squared, k)
        return (first if allowed is None else allowed[first]), squared[first]


def squared_distances(point: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distances (n,) of one point to n vectors."""
    differences = vectors - point
    return np.einsum("ij,ij->i", differences, differences)


def smallest(values: NDArray, k: int) -> NDArray[np.int64]:
    """Positions of the k smallest values (or all), smallest first, equal ones by position."""
    if k >= len(values):
        return np.argsort(values, kind="stable")
    bound = np.partition(values, k - 1)[k - 1] if k else -np.inf
    near = np.flatnonzero(values <= bound)
    return near[np.argsort(values[near], kind="stable")][:k]


def _first(
    point: NDArray[np.float32], rows: NDArray[np.int64], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest of some rows with their vectors, by (squared distance, row)."""
    squared = squared_distances(point, vectors)
    near = np.lexsort((rows, squared))[:k]
    return rows[near], squared[near]


def _library_search(
    points: NDArray[np.float32], vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The library's exhaustive search: (squared distances, rows), each (len(points), k)."""
    if allowed is None:
        return faiss.knn(points, vectors, k)
    _bits, selector = _selector(len(vectors), allowed)  # the selector reads the bits while it is used
    squared = np.empty((len(points), k), dtype=np.float32)
    rows = np.empty((len(points), k), dtype=np.int64)
    faiss.knn_L2sqr(
        faiss.swig_ptr(points),
        faiss.swig_ptr(vectors),
        points.shape[1],
        len(points),
        len(vectors),
        k,
        faiss.swig_ptr(squared),
        faiss.swig_ptr(rows),
        None,
        selector,
    )
    return squared, rows


def _selector(n: int, allowed: NDArray[np.int64]) -> tuple[NDArray[np.uint8], Any]:
    """The library's form of a set of rows among n, and the bits that it reads: keep them while it is in use."""
    chosen = np.zeros(n, dtype=bool)
    chosen[allowed] = True
    bits = np.packbits(chosen, bitorder="little")
    return bits, faiss.IDSelectorBitmap(n, faiss.swig_ptr(bits))

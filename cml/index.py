"""Nearest items to points of the metric space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

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
        points = np.ascontiguousarray(points, dtype=np.float32)
        rows = np.full((len(points), k), NO_ROW, dtype=np.int64)
        squared = np.full((len(points), k), np.inf, dtype=np.float32)
        for begin in range(0, len(points), _BLOCK):
            block = points[begin : begin + _BLOCK]
            lists = self._exact(block, k) if self._cells is None else self._staged(self._cells, block, k)
            for at, (near, near_squared) in enumerate(lists, start=begin):
                rows[at, : len(near)], squared[at, : len(near)] = near, near_squared
        return rows, squared

    def nearest(self, point: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What `search` finds for one point (dim,), without padding: (rows, squared distances)."""
        point = np.ascontiguousarray(point, dtype=np.float32)
        if self._cells is not None:
            return self._staged(self._cells, point[None], k)[0]
        if self._codes is not None and not self._nearly_all(k, len(self.vectors)):
            found = self._by_codes(self._codes, point, k)
            if found is not None:
                return found
        return next(self._exact(point[None], k))

    def nearest_among(
        self, point: NDArray[np.float32], k: int, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `nearest`, but only among the given ascending rows, and always exactly."""
        point = np.ascontiguousarray(point, dtype=np.float32)
        if self._nearly_all(k, len(rows)):
            return self._scan(point, k, rows)
        near, bound = _nearest_by_library(point, self.vectors, rows, k + _SLACK)
        return self._proved(point, k, near, bound) or self._scan(point, k, rows)

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

    def _exact(
        self, points: NDArray[np.float32], k: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The true first k (or all) of each point; of so many points as the library is given at once."""
        if self._nearly_all(k, len(self.vectors)):
            yield from (self._scan(point, k, None) for point in points)
            return
        rough, rows = faiss.knn(points, self.vectors, k + _SLACK)
        for at, point in enumerate(points):
            yield self._proved(point, k, rows[at], float(rough[at, -1])) or self._scan(point, k, None)

    def _nearly_all(self, k: int, available: int) -> bool:
        """Whether so much of what there is is wanted that computing every distance is cheapest."""
        return (k + _SLACK) * 4 > available

    def _by_codes(
        self, codes: Codes, point: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The first k of all, or None where the codes are too coarse to say."""
        rows, bound = codes.candidates(point, min(2 * k + _CODES_SLACK, len(self.vectors)))
        return self._proved(point, k, rows, bound)

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
        tolerance = _ROUNDING * (float(point.dot(point)) + self._largest_square)
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


def _nearest_by_library(
    point: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], float]:
    """The k of these rows that the library finds nearest, and the squared distance that it gives the last one."""
    squared, near = np.empty(k, dtype=np.float32), np.empty(k, dtype=np.int64)
    points, all_vectors, among = (faiss.swig_ptr(array) for array in (point, vectors, rows))
    found = (faiss.swig_ptr(array) for array in (squared, near))
    search = faiss.knn_L2sqr_by_idx  # type: ignore[attr-defined]  # its stub is incomplete
    search(points, all_vectors, among, len(point), 1, len(vectors), len(rows), k, *found)
    return near, float(squared[-1])

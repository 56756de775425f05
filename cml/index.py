"""Nearest items to points of the metric space."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from cml.manifest import IndexInfo

NO_ROW = -1
_SLACK = 8  # items fetched beyond k, to prove that rounding did not push one of the first k out
_BLOCK = 256  # points refined at a time: bounds the memory of their candidates' vectors
_ROUNDING = 4e-6  # bound of the error of a squared distance in the library, relative to the squared norms


class ItemIndex:
    """Finds the items nearest to points, by Euclidean distance.

    Results are the true nearest ones in the order of (squared distance, row), whatever the number of points
    asked at once: a page or a precomputed list never disagrees with a live answer.
    The vectors are used where they are (memory-mapped), never copied.
    """

    def __init__(self, vectors: NDArray[np.float32], info: IndexInfo | None = None) -> None:
        self.vectors = vectors
        self.info = info or IndexInfo()
        self._largest_square = float(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0))

    def search(self, points: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Nearest items for each point: (rows, squared distances), each (len(points), k), nearest first.

        Shorter catalogues pad with row -1 and distance inf.
        """
        points = np.ascontiguousarray(points, dtype=np.float32)
        rows = np.full((len(points), k), NO_ROW, dtype=np.int64)
        squared = np.full((len(points), k), np.inf, dtype=np.float32)
        found = min(k, len(self.vectors))
        for begin in range(0, len(points) if found else 0, _BLOCK):
            block = slice(begin, begin + _BLOCK)
            rows[block, :found], squared[block, :found] = self._search_block(points[block], found)
        return rows, squared

    def search_among(
        self, points: NDArray[np.float32], k: int, rows: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `search`, but only among the given distinct rows, and always exactly."""
        points = np.ascontiguousarray(points, dtype=np.float32)
        allowed = np.sort(np.asarray(rows, dtype=np.int64))
        best_rows = np.full((len(points), k), NO_ROW, dtype=np.int64)
        best = np.full((len(points), k), np.inf, dtype=np.float32)
        candidates = self.vectors[allowed]
        for at, point in enumerate(points):
            squared = squared_distances(point, candidates)
            first = smallest(squared, k)
            best_rows[at, : len(first)] = allowed[first]
            best[at, : len(first)] = squared[first]
        return best_rows, best

    def _search_block(
        self, points: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.empty((len(points), k), dtype=np.int64)
        squared = np.empty((len(points), k), dtype=np.float32)
        unproved = np.arange(len(points))
        fetch = k + _SLACK
        while len(unproved):
            if fetch * 4 > len(self.vectors):
                for at in unproved:
                    rows[at], squared[at] = self._scan(points[at], k)
                break
            near, proved = self._fetch(points[unproved], k, fetch)
            rows[unproved], squared[unproved] = near
            unproved = unproved[~proved]
            fetch *= 4
        return rows, squared

    def _fetch(
        self, points: NDArray[np.float32], k: int, fetch: int
    ) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], NDArray[np.bool_]]:
        """The first k of `fetch` candidates, and for which points they are proved to be the first k of all.

        The library's own distances depend on how many points it is given. So the candidates' distances are
        computed again in one way, and the first k count as proved when the last candidate lies farther
        away than the k-th by more than any rounding.
        """
        rough, candidates = faiss.knn(points, self.vectors, fetch)
        differences = self.vectors[candidates] - points[:, None, :]
        exact = np.einsum("pcd,pcd->pc", differences, differences)
        order = np.lexsort((candidates, exact), axis=1)[:, :k]
        squared = np.take_along_axis(exact, order, axis=1)
        tolerance = _ROUNDING * (np.einsum("pd,pd->p", points, points) + self._largest_square)
        proved = squared[:, -1] + tolerance < rough[:, -1]
        return (np.take_along_axis(candidates, order, axis=1), squared), proved

    def _scan(self, point: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        squared = squared_distances(point, self.vectors)
        first = smallest(squared, k)
        return first, squared[first]


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

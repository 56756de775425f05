"""Approximate search for large catalogues: items in cells, of which each search looks into the nearest few.

A cell holds its items' vectors in one byte a dimension (FAISS IVF with whole numbers, which are compared fast). That is
enough to find candidates, whose true distances are then computed from the exact vectors. How many cells are looked into
is decided by measuring, on the model's own users and items, how many of the true nearest items are found.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from cml.errors import ArtifactError
from cml.manifest import IndexInfo

KIND = "cells"
TARGET_RECALL = 0.99
DEPTHS = (100, 300, 1000)  # list lengths for which the number of cells is decided
_SAMPLE = 100  # users, and as many items, on which recall is measured
_POINTS_PER_CELL = 64  # for placing the cells; more of them, or more rounds, gain less than more cells
_ROUNDS = 10
_LEVELS = 127.0
_USUAL = 0.999  # share of the vectors' numbers that the levels cover
_BLOCK = 65_536  # vectors coded at once
_FEW_POINTS = 16  # up to which the library finds the cells of several points exactly as it does of one
_CLOSE = 1.1  # factor up to which the number of cells is the smallest that reaches the target


class Cells:
    """Finds candidates for the nearest items."""

    def __init__(self, index: Any, probes: dict[int, int], step: float | None) -> None:
        self._index = index
        self._quantizer = faiss.downcast_index(index.quantizer)
        self.probes = probes  # cells to look into, by depth
        self._step = step  # what one level of a code stands for; None: the index codes points by itself

    @classmethod
    def load(cls, path: Path, info: IndexInfo) -> Cells:
        """The cells in a file, memory-mapped. Raises ArtifactError."""
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ArtifactError(f"{path}: cannot be read: {error}; publish the version again") from None
        probes = {int(depth): int(probes) for depth, probes in info.params["probes"].items()}
        return cls(index, probes, info.params.get("step"))

    def save(self, path: Path) -> None:
        """Create the file that `load` maps, synced to disk. Raises OSError."""
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:
            raise OSError(str(error)) from None
        with path.open("rb") as file:
            os.fsync(file.fileno())

    def candidates(self, points: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
        """Rows (len(points), fetched) of items near each point, -1 padded, in no exact order.

        More than `depth` are fetched, because the order of the coded vectors is not quite the true one. Several
        points at once, on all threads, get what each would get alone.
        """
        return self._fetch(points, depth, self.probes[depth])

    def _fetch(self, points: NDArray[np.float32], depth: int, probes: int) -> NDArray[np.int64]:
        fetch = min(depth + depth // 2, self._index.ntotal)
        look = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]  # its stub is incomplete
        points = points if self._step is None else _coded(points, self._step)
        if len(points) == 1:
            return self._index.search(points, fetch, params=look)[1]
        blocks = [points[begin : begin + _FEW_POINTS] for begin in range(0, len(points), _FEW_POINTS)]
        near = [self._quantizer.search(block, probes) for block in blocks]
        distances, cells = (np.concatenate(parts) for parts in zip(*near, strict=True))
        return self._search_in(points, fetch, cells, distances, look)

    def _search_in(
        self,
        points: NDArray[np.float32],
        fetch: int,
        cells: NDArray[np.int64],
        distances: NDArray[np.float32],
        look: Any,
    ) -> NDArray[np.int64]:
        """The rows that the library finds in these cells of each point."""
        rows = np.empty((len(points), fetch), dtype=np.int64)
        squared = np.empty((len(points), fetch), dtype=np.float32)
        arrays = (faiss.swig_ptr(array) for array in (cells, distances, squared, rows))
        self._index.search_preassigned_c(len(points), faiss.swig_ptr(points), fetch, *arrays, False, look)
        return rows


def build_cells(
    vectors: NDArray[np.float32], points: NDArray[np.float32], target: float = TARGET_RECALL, seed: int = 0
) -> tuple[Cells, IndexInfo] | None:
    """Cells over the vectors, looked into as deeply as the target recall needs on these points and on items.

    `points` are what will be asked, users for example; a sample of them is used. None when half of the cells
    do not reach the target: then an exact search is better.
    """
    n_items = len(vectors)
    n_cells = 2 << max(1, round(np.log2(np.sqrt(n_items))))
    # Beyond the levels numbers are cut off: a few far ones must not make the codes of all others coarse.
    usual = float(np.quantile(np.abs(_spread(vectors, _BLOCK)), _USUAL))
    step = max(usual / _LEVELS, float(np.finfo(np.float32).tiny))
    cells = Cells(_placed(vectors, n_cells, step, seed), {}, step)
    depths = [depth for depth in DEPTHS if depth <= n_items] or [n_items]
    samples = [_spread(some, _SAMPLE) for some in (points, vectors) if len(some)]
    judged = [(sample, faiss.knn(sample, vectors, max(depths))[1]) for sample in samples]
    recalls = {}
    for depth in depths:
        probes, recalls[depth] = _probes(cells, judged, depth, target, n_cells // 2)
        if recalls[depth] < target:
            return None
        cells.probes[depth] = probes
    depth = min(recalls)
    probes_by_depth = {str(depth): probes for depth, probes in cells.probes.items()}
    params = {"cells": n_cells, "probes": probes_by_depth, "step": step}
    return cells, IndexInfo(kind=KIND, params=params, recall=round(min(recalls.values()), 5), recall_k=depth)


def _placed(vectors: NDArray[np.float32], n_cells: int, step: float, seed: int) -> Any:
    """The library's index of the coded vectors in cells."""
    n_items, dim = vectors.shape
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatL2(dim),
        dim,
        n_cells,
        faiss.ScalarQuantizer.QT_8bit_direct_signed,
        faiss.METRIC_L2,
        False,  # whole numbers, not differences from the cell's centre
    )
    index.cp.max_points_per_centroid = _POINTS_PER_CELL
    index.cp.min_points_per_centroid = 1
    index.cp.niter = _ROUNDS
    index.cp.seed = seed + 1
    chosen = np.random.default_rng(seed).choice(
        n_items, min(n_items, n_cells * _POINTS_PER_CELL), replace=False
    )
    index.train(_coded(vectors[np.sort(chosen)], step))
    for begin in range(0, n_items, _BLOCK):
        index.add(_coded(vectors[begin : begin + _BLOCK], step))
    return index


def _coded(vectors: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """The vectors in whole numbers of the step, so that the library's own rounding changes nothing."""
    return np.rint(np.clip(vectors / np.float32(step), -_LEVELS, _LEVELS))


def _spread(points: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """At most n of the points, evenly spaced."""
    return points[np.linspace(0, len(points) - 1, min(n, len(points))).astype(np.int64)]


def _probes(
    cells: Cells,
    judged: list[tuple[NDArray[np.float32], NDArray[np.int64]]],
    depth: int,
    target: float,
    most: int,
) -> tuple[int, float]:
    """The smallest number of cells, or nearly, whose recall reaches the target beyond chance, and the recall.

    `judged`: samples of points with their true nearest rows; the worse of them counts. Beyond chance: less twice
    the standard error, so that other points of the kind reach the target as well.
    """

    def recalls(probes: int) -> tuple[float, float]:
        """The worse recall, and how low it may be elsewhere."""
        shares = [
            np.array([np.isin(wanted[:depth], got).mean() for wanted, got in zip(true, found, strict=True)])
            for sample, true in judged
            for found in (cells._fetch(sample, depth, probes),)
        ]
        errors = [2 * one.std() / np.sqrt(len(one)) for one in shares]
        return min(float(one.mean()) for one in shares), min(
            float(one.mean() - error) for one, error in zip(shares, errors, strict=True)
        )

    probes, too_few = 1, 0
    mean, low = recalls(probes)
    while low < target and probes < most:
        too_few, probes = probes, min(2 * probes, most)
        mean, low = recalls(probes)
    while low >= target and probes > too_few * _CLOSE + 1:
        middle = (probes + too_few) // 2
        middle_mean, middle_low = recalls(middle)
        if middle_low >= target:
            probes, mean = middle, middle_mean
        else:
            too_few = middle
    return probes, mean

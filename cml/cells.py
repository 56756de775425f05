"""Approximate search for large catalogues: items in cells, of which each search looks into the nearest few.

A cell holds its items' vectors in one byte a dimension (FAISS IVF with scalar quantisation). That is enough
to find candidates, whose true distances are then computed from the exact vectors. How many cells are looked
into is decided by measuring, on the model's own vectors, how many of the true nearest items are found.
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
_SAMPLE = 200  # points on which recall is measured
_POINTS_PER_CELL = 128  # for placing the cells


class Cells:
    """Finds candidates for the nearest items."""

    def __init__(self, index: Any, probes: dict[int, int]) -> None:
        self._index = index
        self.probes = probes  # cells to look into, by depth

    @classmethod
    def load(cls, path: Path, info: IndexInfo) -> Cells:
        """The cells in a file, memory-mapped. Raises ArtifactError."""
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ArtifactError(f"{path}: cannot be read: {error}; publish the version again") from None
        return cls(index, {int(depth): int(probes) for depth, probes in info.params["probes"].items()})

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

        More than `depth` are fetched, because the order of the quantised vectors is not quite the true one.
        """
        return self._fetch(points, depth, self.probes[depth])

    def _fetch(self, points: NDArray[np.float32], depth: int, probes: int) -> NDArray[np.int64]:
        fetch = min(depth + depth // 2, self._index.ntotal)
        look = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]  # its stub is incomplete
        _, rows = self._index.search(points, fetch, params=look)
        return rows


def build_cells(
    vectors: NDArray[np.float32], points: NDArray[np.float32], target: float = TARGET_RECALL, seed: int = 0
) -> tuple[Cells, IndexInfo] | None:
    """Cells over the vectors, looked into as deeply as the target recall needs on these points.

    `points` are what will be asked, users for example; a sample of them is used. None when half of the cells
    do not reach the target: then an exact search is better.
    """
    n_items, dim = vectors.shape
    n_cells = 1 << max(2, round(np.log2(np.sqrt(n_items))))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatL2(dim), dim, n_cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2
    )
    index.cp.max_points_per_centroid = _POINTS_PER_CELL
    index.cp.min_points_per_centroid = 1
    index.cp.seed = seed + 1
    index.train(vectors)
    index.add(vectors)
    cells = Cells(index, {})
    points = points if len(points) else vectors
    sample = points[np.linspace(0, len(points) - 1, min(_SAMPLE, len(points))).astype(np.int64)]
    recalls = {}
    for depth in [depth for depth in DEPTHS if depth <= n_items] or [n_items]:
        probes, recalls[depth] = _probes(cells, vectors, sample, depth, target, n_cells)
        if recalls[depth] < target:
            return None
        cells.probes[depth] = probes
    depth = min(recalls)
    params = {"cells": n_cells, "probes": {str(depth): probes for depth, probes in cells.probes.items()}}
    return cells, IndexInfo(kind=KIND, params=params, recall=round(min(recalls.values()), 5), recall_k=depth)


def _probes(
    cells: Cells,
    vectors: NDArray[np.float32],
    sample: NDArray[np.float32],
    depth: int,
    target: float,
    n_cells: int,
) -> tuple[int, float]:
    """The smallest number of cells, of a doubling series, that reaches the target recall, and its recall."""
    _, true = faiss.knn(sample, vectors, depth)
    probes = 1
    while True:
        found = cells._fetch(sample, depth, probes)
        recall = float(
            np.mean([np.isin(wanted, got).mean() for wanted, got in zip(true, found, strict=True)])
        )
        if recall >= target or probes * 2 > n_cells // 2:
            return probes, recall
        probes *= 2

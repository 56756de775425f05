"""One exact search with one-byte codes first, beside the scan of all vectors, on the model of the service's benchmark.

    python -m benchmarks.search [--items 26000] [--searches 800] [--k 20]

CPU time a search, both kinds in turn, lists compared to the last id and distance; and how often the codes were too
coarse to be sure, so that the scan was taken after all.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # as the service sets it, before the library starts its threads

import argparse
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.world import content
from cml.codes import Codes
from cml.index import ItemIndex


def main() -> None:
    given = _parser().parse_args()
    world = content(given.items, given.searches, np.random.default_rng(given.seed))
    vectors, points = world.item_vectors, world.user_vectors
    codes = Codes.where_they_help(vectors)
    if codes is None:
        print(f"{len(vectors):,} items are too few or too many for codes")
        return
    scan, fast = ItemIndex(vectors), ItemIndex(vectors, codes=codes)
    seconds: dict[str, list[float]] = {"scan": [], "codes": []}
    for point in points:
        one, other = (
            _timed(index, point, given.k, seconds[name]) for name, index in (("scan", scan), ("codes", fast))
        )
        assert all(map(np.array_equal, one, other)), "the two lists differ"
    coarse = sum(fast._by_codes(codes, point, given.k) is None for point in points)
    for name, taken in seconds.items():
        print(f"{name}: {median(taken) * 1e3:.2f} ms of CPU a search")
    print(f"{len(points)} lists of {given.k} equal; {coarse} of them needed the scan after the codes")


def _timed(index: ItemIndex, point: NDArray[np.float32], k: int, taken: list[float]) -> tuple[NDArray, ...]:
    before = time.process_time()
    found = index.nearest(point, k)
    taken.append(time.process_time() - before)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--searches", type=int, default=800)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()

"""A data set small enough to benchmark in a test: two groups of users and two of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.splits import Parts, read_parts
from tests.cml.data_files import write_rows

USERS, ITEMS = 24, 30


def write_interactions(directory: Path) -> Path:
    """Each user likes ten of the fifteen items of the own group."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}")
        for user in range(USERS)
        for item in user % 2 * (ITEMS // 2) + rng.choice(ITEMS // 2, 10, replace=False)
    ]
    directory.mkdir(parents=True, exist_ok=True)
    write_rows(directory / "interactions.csv", ("user_id", "item_id"), rows)
    return directory


def tiny_parts(tmp_path: Path) -> Parts:
    return read_parts(write_interactions(tmp_path / "tiny"), tmp_path / "work", seed=0)

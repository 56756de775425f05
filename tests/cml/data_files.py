"""Small interaction files and data sets for the tests of reading and splitting."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cml.config import DataConfig
from cml.data.dataset import Dataset
from cml.data.reading import Reading, read_interactions
from cml.vocabulary import Vocabulary


def write_text(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """A file with exactly this text, gzipped if its name says so."""
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """A CSV file as Python's csv writes it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def pairs_of(dataset: Dataset) -> list[tuple[str, str]]:
    """The pairs as ids, in order."""
    return [
        (dataset.users[user], dataset.items[item])
        for user, item in zip(dataset.user_rows, dataset.item_rows, strict=True)
    ]


def dataset_of(
    pairs: Sequence[tuple[int, int]],
    *,
    liked: Sequence[bool] | None = None,
    timestamps: Sequence[float] | None = None,
) -> Dataset:
    """A data set over users u0.. and items i0..."""
    users, items = zip(*pairs, strict=True)
    return Dataset.from_rows(
        Vocabulary(f"u{row}" for row in range(max(users) + 1)),
        Vocabulary(f"i{row}" for row in range(max(items) + 1)),
        np.array(users),
        np.array(items),
        liked=None if liked is None else np.array(liked),
        timestamps=None if timestamps is None else np.array(timestamps, dtype=float),
    )


def read(path: Path, config: DataConfig | None = None, **options: Any) -> Reading:
    """Interactions from a file, with the usual settings unless others are given."""
    return read_interactions(path, config or DataConfig(), **options)


# For tests by examples that write into `tmp_path` again and again.
SAME_TMP_PATH = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)

# Anything that can stand in a UTF-8 file; lone surrogates cannot, and a null byte or a bare carriage return
# ends a line or a field in more readers than not.
IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=6)

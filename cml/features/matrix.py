"""Features that are numbers already, such as embeddings of texts and images: one row of a matrix an item.

A row counts by its direction: it is scaled to length one. A row of zeros is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.errors import DataError


@dataclass(frozen=True, eq=False)
class MatrixRow:
    """A row that names only what is not zero. A list of `width` numbers says the same."""

    columns: NDArray[np.integer]
    values: NDArray[np.floating]
    width: int


def width_of(name: str, item: Mapping[str, object]) -> int | None:
    """How many columns the item's row has; None where it has none. Raises DataError for what is no row."""
    row = _row(name, item)
    return None if row is None else row.width


def row_of(
    name: str, item: Mapping[str, object], width: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(columns, values) of the item's row, of length one; empty where it is missing.

    Raises DataError for what is no row of `width` finite numbers; None takes any width.
    """
    row = _row(name, item)
    if row is None:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    if width is not None and row.width != width:
        raise DataError(
            f"feature {name!r}: a row of {row.width} numbers, the matrix of training has {width} columns; "
            "make it in the same way"
        )
    values = np.asarray(row.values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"feature {name!r}: a row holds a number that is not finite; leave the row out")
    present = values != 0
    values = values[present] / max(float(np.abs(values).max(initial=0)), 1e-300)  # squares stay finite
    scaled = values / max(float(np.linalg.norm(values)), 1e-12)
    return row.columns[present].astype(np.int64), scaled.astype(np.float32)


def with_matrices(
    items: Sequence[Mapping[str, Any]], matrices: Mapping[str, Sequence[object]]
) -> list[dict[str, Any]]:
    """Items with their rows of the matrices; each matrix has a row or None for every item, in order."""
    return [dict(item) | {name: rows[at] for name, rows in matrices.items()} for at, item in enumerate(items)]


def _row(name: str, item: Mapping[str, object]) -> MatrixRow | None:
    value = item.get(name)
    if value is None or isinstance(value, MatrixRow):
        return value
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(())
    if values.ndim != 1 or isinstance(value, str):
        raise DataError(f"feature {name!r}: {value!r:.60} is not a list of numbers")
    return MatrixRow(np.arange(len(values)), values, len(values)) if len(values) else None

"""Feature matrices from files: NPZ with item ids beside dense or sparse rows.

`np.savez(FILE, ids=ids, matrix=rows)` writes a dense one. A sparse one has, instead of `matrix`, the parts of a
compressed sparse row matrix: `data`, `indices`, `indptr`, `shape`. Nothing that runs code is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cml.errors import ConfigError, DataError
from cml.features.matrix import MatrixRow
from cml.features.placing import Placer
from cml.features.schema import MATRIX
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

Rows = list[MatrixRow | None]
SPARSE = ("data", "indices", "indptr", "shape")
HOW = "write it with numpy.savez(FILE, ids=ids, matrix=rows), see docs/features.md"


def read_matrices(named: Iterable[str], items: Vocabulary, what: str = "item") -> dict[str, Rows]:
    """By name, the row of each item (or user: `what`) or None, for `NAME=FILE` each. Raises ConfigError, DataError."""
    matrices: dict[str, Rows] = {}
    for word in named:
        name, path = _parts(word)
        if name in matrices:
            raise ConfigError(f"feature matrix {name!r} is given twice; keep one of the two")
        matrices[name] = read_matrix(Path(path), items, what)
    return matrices


def read_matrices_for(placer: Placer | None, named: Iterable[str], items: Vocabulary) -> dict[str, Rows]:
    """The same for what a version places items by. Raises ConfigError for a matrix that it does not know, DataError for
    rows of another width."""
    named, widths = tuple(named), matrices_of(placer)
    for name, _ in map(_parts, named):
        if name not in widths:
            known = f"only {', '.join(widths)}" if widths else "it was trained without any"
            raise ConfigError(f"feature matrix {name!r}: the version does not know it, {known}")
    found = read_matrices(named, items)
    for word in named:
        name, path = _parts(word)
        width = next(row.width for row in found[name] if row is not None)
        if width != widths[name]:
            raise DataError(
                f"{path}: rows of {width} numbers, the matrix {name!r} of training has {widths[name]} columns; "
                "make them in the same way"
            )
    return found


def matrices_of(placer: Placer | None) -> dict[str, int]:
    """The matrices among a version's features, with their numbers of columns."""
    fitted = placer.encoder.fitted if placer else ()
    return {each.feature.column: each.width for each in fitted if each.feature.kind == MATRIX}


def absolute(word: str) -> str:
    """The same `NAME=FILE` whatever the working directory. Raises ConfigError."""
    name, path = _parts(word)
    return f"{name}={Path(path).absolute()}"


def read_matrix(path: Path, items: Vocabulary, what: str = "item") -> Rows:
    """The row of each item of the vocabulary, None where the file has none; other rows are not read.

    Raises DataError for a file that is not as above, a repeated id, a number that is not finite, and where no row
    is an item's.
    """
    parts = _arrays(path)
    ids = _ids(path, parts)
    row_at = _sparse(path, parts) if "matrix" not in parts else _dense(path, parts)
    rows: Rows = [None] * len(items)
    for at, item_id in enumerate(ids):
        if (row := items.find(item_id)) == UNKNOWN_ROW:
            continue
        if rows[row] is not None:
            raise DataError(f"{path}: {what} {item_id!r} has two rows; drop one")
        found = row_at(at)
        if not np.isfinite(found.values).all():
            raise DataError(
                f"{path}: the row of {what} {item_id!r} holds a number that is not finite; drop it"
            )
        rows[row] = found
    if not any(row is not None for row in rows):
        raise DataError(
            f"{path}: none of its {len(ids):,} ids is among the {len(items):,} {what}s in question; first: {ids[:1]}"
        )
    return rows


def _parts(word: str) -> tuple[str, str]:
    name, separator, path = word.partition("=")
    if not (name and separator and path):
        raise ConfigError(f"feature matrix {word!r}: expected NAME=FILE, for example cover=covers.npz")
    return name, path


def _arrays(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError, BadZipFile, EOFError) as error:
        raise DataError(f"{path}: not a readable NPZ file ({error}); {HOW}") from None


def _ids(path: Path, parts: dict[str, NDArray]) -> list[str]:
    ids = parts.get("ids")
    if ids is None or ids.ndim != 1 or ids.dtype.kind not in "UiuST":
        raise DataError(f"{path}: has no one-dimensional array `ids` of texts or integers; {HOW}")
    return [each.decode() if isinstance(each, bytes) else str(each) for each in ids.tolist()]


def _dense(path: Path, parts: dict[str, NDArray]) -> Callable[[int], MatrixRow]:
    matrix = parts["matrix"]
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiub" or not matrix.shape[1]:
        raise DataError(f"{path}: `matrix` has shape {matrix.shape}, not (items, columns) of numbers; {HOW}")
    _matched(path, len(parts["ids"]), len(matrix))
    columns = np.arange(matrix.shape[1])
    return lambda at: MatrixRow(columns, matrix[at], len(columns))


def _sparse(path: Path, parts: dict[str, NDArray]) -> Callable[[int], MatrixRow]:
    if missing := [name for name in SPARSE if name not in parts]:
        raise DataError(f"{path}: has neither `matrix` nor `{missing[0]}`; {HOW}")
    data, indices, indptr = parts["data"], parts["indices"], parts["indptr"]
    n_rows, width = (int(size) for size in parts["shape"])
    _matched(path, len(parts["ids"]), n_rows)
    sound = (
        data.dtype.kind in "fiub"
        and indices.dtype.kind in "iu"
        and indptr.dtype.kind in "iu"
        and len(data) == len(indices)
        and len(indptr) == n_rows + 1
        and indptr[0] == 0
        and indptr[-1] == len(data)
        and bool((np.diff(indptr) >= 0).all())
        and (not len(indices) or (indices.min() >= 0 and indices.max() < width))
    )
    if not sound:
        raise DataError(
            f"{path}: `data`, `indices` and `indptr` are no compressed sparse rows of the shape "
            f"({n_rows}, {width}); save the parts of a scipy.sparse.csr_array"
        )

    def row_at(at: int) -> MatrixRow:
        cells = slice(int(indptr[at]), int(indptr[at + 1]))
        return MatrixRow(indices[cells], data[cells], width)

    return row_at


def _matched(path: Path, n_ids: int, n_rows: int) -> None:
    if n_ids != n_rows:
        raise DataError(f"{path}: {n_ids:,} ids beside {n_rows:,} rows; every row needs its item's id")

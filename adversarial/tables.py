"""Feature tables in and out: CSV, TSV, Parquet, NPZ and svmlight, chosen by the file's ending.

In CSV, TSV and Parquet one column holds the labels and every other column is a number. An NPZ file holds
`X` (rows, features) or the parts of a SciPy CSR matrix, and `y` if it has labels. svmlight rows are a label
and index:value pairs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from adversarial.errors import DataError, SettingError

_TEXT = {".csv": ",", ".tsv": "\t"}
_SVMLIGHT = (".svmlight", ".svm", ".libsvm")
ENDINGS = (".csv", ".tsv", ".parquet", ".npz", *_SVMLIGHT)


@dataclass(frozen=True)
class Table:
    """Features (rows, columns) with a label per row, or None where the file has none."""

    features: Any
    labels: np.ndarray | None
    names: list[str] | None = None
    index_base: int = 0
    """The number of the first feature in an svmlight file; 0 for other formats."""

    def require_labels(self, path: Path) -> np.ndarray:
        """The labels. Raises DataError when the file has none."""
        if self.labels is None:
            raise DataError(
                f"{path}: has no labels, which are needed here; name their column with --label-column"
            )
        return self.labels


def read_together(
    paths: Sequence[Path],
    *,
    label_column: str = "label",
    width: int | None = None,
    index_base: int | None = None,
) -> list[Table]:
    """Tables that share one feature space, in the order of `paths`.

    Named columns are matched by name, in the order of the first table that has names. svmlight files are as
    wide as `width` says, else as the other tables, else as the largest index among them; whether their
    indices count from 0 or 1 is `index_base`, else 0 if any of the files uses index 0 and 1 if none does.
    Raises DataError for files that cannot be read or do not fit together.
    """
    tables: dict[int, Table] = {
        place: _read(path, label_column) for place, path in enumerate(paths) if _ending(path) not in _SVMLIGHT
    }
    known = width or next((table.features.shape[1] for table in tables.values()), None)
    remaining = [place for place in range(len(paths)) if place not in tables]
    tables |= dict(
        zip(remaining, _read_svmlight([paths[p] for p in remaining], known, index_base), strict=True)
    )
    ordered = _in_one_order([tables[place] for place in range(len(paths))], paths)
    for table, path in zip(ordered, paths, strict=True):
        expected = width or ordered[0].features.shape[1]
        if table.features.shape[1] != expected:
            raise DataError(f"{path}: has {table.features.shape[1]} features where {expected} are expected")
    return ordered


def write(path: Path, features: Any, labels: np.ndarray | None = None) -> None:
    """Store features, with labels if there are any; CSV, TSV and Parquet name the columns f0, f1, ..."""
    ending = _ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".npz":
        parts: dict[str, Any] = _csr_parts(features) if sparse.issparse(features) else {"X": features}
        np.savez_compressed(path, **(parts if labels is None else parts | {"y": labels}))
    elif ending in _SVMLIGHT:
        _write_svmlight(path, features, labels)
    else:
        _write_frame(path, ending, features, labels)


def as_dense(features: Any) -> np.ndarray:
    """The features as an array, whichever way they are held."""
    return features.toarray() if hasattr(features, "toarray") else np.asarray(features)


def _ending(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise SettingError(f"{path}: unknown ending {ending!r}; use one of {', '.join(ENDINGS)}")
    return ending


def _read(path: Path, label_column: str) -> Table:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return _read_npz(path) if _ending(path) == ".npz" else _read_frame(path, label_column)


def _read_frame(path: Path, label_column: str) -> Table:
    import pandas as pd

    ending = _ending(path)
    try:
        frame = pd.read_parquet(path) if ending == ".parquet" else pd.read_csv(path, sep=_TEXT[ending])
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as {ending[1:]} ({error})") from error
    labels = frame.pop(label_column).to_numpy() if label_column in frame.columns else None
    words = [str(name) for name, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if words:
        raise DataError(
            f"{path}: columns {', '.join(words[:3])} are not numbers; remove them, or name the label column "
            "with --label-column"
        )
    return Table(frame.to_numpy(dtype=np.float32), labels, [str(name) for name in frame.columns])


def _read_npz(path: Path) -> Table:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as npz ({error})") from error
    labels = arrays.get("y")
    if "X" in arrays:
        return Table(arrays["X"], labels)
    try:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return Table(sparse.csr_array(parts, shape=tuple(arrays["shape"])), labels)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: holds {sorted(arrays)}; give X, or a CSR matrix, and y for labels"
        ) from error


def _read_svmlight(paths: Sequence[Path], width: int | None, index_base: int | None) -> list[Table]:
    if not paths:
        return []
    from sklearn.datasets import load_svmlight_files

    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
    base = index_base if index_base is not None else (0 if any(_uses_zero(path) for path in paths) else 1)
    try:
        loaded = load_svmlight_files(
            [str(path) for path in paths], n_features=width, dtype=np.float32, zero_based=base == 0
        )
    except ValueError as error:
        names = ", ".join(str(path) for path in paths)
        raise DataError(
            f"{names}: cannot be read as svmlight with {width or 'inferred'} features ({error})"
        ) from error
    pairs = zip(loaded[::2], loaded[1::2], strict=True)
    return [Table(sparse.csr_array(features), labels, index_base=base) for features, labels in pairs]


def _uses_zero(path: Path) -> bool:
    """Whether any row has an index 0, which then is the row's first."""
    import gzip

    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return any(" 0:" in line.split("#", 1)[0] for line in lines)


def _in_one_order(tables: Sequence[Table], paths: Sequence[Path]) -> list[Table]:
    """Named columns in the order of the first table that has names."""
    names = next((table.names for table in tables if table.names is not None), None)
    return [
        table if names is None or table.names in (None, names) else _reordered(table, names, path)
        for table, path in zip(tables, paths, strict=True)
    ]


def _reordered(table: Table, names: list[str], path: Path) -> Table:
    assert table.names is not None
    if sorted(table.names) != sorted(names):
        different = sorted(set(table.names) ^ set(names))
        raise DataError(f"{path}: its columns differ from the first table's in {', '.join(different[:5])}")
    order = [table.names.index(name) for name in names]
    return Table(table.features[:, order], table.labels, names)


def _csr_parts(features: Any) -> dict[str, Any]:
    matrix = sparse.csr_array(features)
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}


def _write_svmlight(path: Path, features: Any, labels: np.ndarray | None) -> None:
    from sklearn.datasets import dump_svmlight_file

    given = np.zeros(features.shape[0]) if labels is None else labels
    if not np.issubdtype(given.dtype, np.number):
        raise DataError(
            f"{path}: svmlight labels have to be numbers, not {given.dtype}; write CSV or Parquet"
        )
    dump_svmlight_file(features, given, str(path), zero_based=True)


def _write_frame(path: Path, ending: str, features: Any, labels: np.ndarray | None) -> None:
    import pandas as pd

    dense = as_dense(features)
    frame = pd.DataFrame(dense, columns=[f"f{column}" for column in range(dense.shape[1])])
    if labels is not None:
        frame["label"] = labels
    if ending == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, sep=_TEXT[ending], index=False)

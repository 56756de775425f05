"""Feature tables in and out: CSV, TSV, Parquet, NPZ and svmlight, chosen by the file's ending.

In CSV, TSV and Parquet one column holds the labels and every other column is a number. An NPZ file holds
`X` (rows, features) or the parts of a SciPy CSR or CSC matrix, and `y` if it has labels. svmlight rows are a
label and index:value pairs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from adversarial import svmlight
from adversarial.errors import DataError, SettingError

_TEXT = {".csv": ",", ".tsv": "\t"}
_LARGEST = float(np.finfo(np.float32).max)  # training is done in 32 bits
ENDINGS = (".csv", ".tsv", ".parquet", ".npz", *svmlight.ENDINGS)


@dataclass(frozen=True)
class Table:
    """Features (rows, columns) with a label per row, or None where the file has none."""

    features: Any
    labels: np.ndarray | None
    names: list[str] | None = None
    index_base: int | None = None
    """The number of the first feature in an svmlight file; None for other formats."""

    def require_labels(self, path: Path) -> np.ndarray:
        """The labels. Raises DataError when the file has none, or a row without."""
        if self.labels is None:
            raise DataError(
                f"{path}: has no labels, which are needed here; name their column with --label-column"
            )
        import pandas as pd

        missing = pd.isna(self.labels)
        if missing.any():
            raise DataError(f"{path}: data row {_first(missing)} has no label; drop or complete it")
        return self.labels

    def require_classes(self, path: Path) -> np.ndarray:
        """Labels that name two classes or more. Raises DataError as `require_labels`, and for fractions."""
        labels = self.require_labels(path)
        if np.issubdtype(labels.dtype, np.floating) and (labels % 1 != 0).any():
            row = _first(labels % 1 != 0)
            raise DataError(
                f"{path}: data row {row} has label {labels[row - 1]}, and classes are words or whole numbers; "
                "`adversarial fit --task regress` learns amounts"
            )
        if len(set(labels.tolist())) < 2:
            raise DataError(
                f"{path}: every row has the label {labels.tolist()[0]!r}; a classifier needs two or more"
            )
        return labels

    def require_amounts(self, path: Path) -> np.ndarray:
        """Labels as finite numbers, float64. Raises DataError as `require_labels`, and for words."""
        labels = self.require_labels(path)
        try:
            amounts = labels.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: its labels are not numbers ({error}); learn them as classes") from error
        if not (np.abs(amounts) <= _LARGEST).all():
            row = _first(~(np.abs(amounts) <= _LARGEST))
            raise DataError(f"{path}: data row {row} has label {amounts[row - 1]}; drop or repair it")
        return amounts


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
        place: _read(path, label_column)
        for place, path in enumerate(paths)
        if _ending(path) not in svmlight.ENDINGS
    }
    known = width or next((table.features.shape[1] for table in tables.values()), None)
    remaining = [place for place in range(len(paths)) if place not in tables]
    if remaining:
        loaded, base = svmlight.read([paths[place] for place in remaining], known, index_base)
        for place, (features, labels) in zip(remaining, loaded, strict=True):
            tables[place] = Table(features, labels, index_base=base)
    ordered = _in_one_order([tables[place] for place in range(len(paths))], paths)
    for table, path in zip(ordered, paths, strict=True):
        expected = width or ordered[0].features.shape[1]
        if table.features.shape[1] != expected:
            raise DataError(f"{path}: has {table.features.shape[1]} features where {expected} are expected")
        _check_features(table, path)
    return ordered


def write(path: Path, features: Any, labels: np.ndarray | None = None) -> None:
    """Store features, with labels if there are any; CSV, TSV and Parquet name the columns f0, f1, ..."""
    ending = _ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".npz":
        parts: dict[str, Any] = _csr_parts(features) if sparse.issparse(features) else {"X": features}
        with path.open("wb") as file:  # given a name, NumPy would append its own ending to .NPZ
            np.savez_compressed(file, **(parts if labels is None else parts | {"y": labels}))
    elif ending in svmlight.ENDINGS:
        svmlight.write(path, features, labels)
    else:
        _write_frame(path, ending, features, labels)


def as_dense(features: Any) -> np.ndarray:
    """The features as an array, whichever way they are held."""
    return features.toarray() if hasattr(features, "toarray") else np.asarray(features)


def _ending(path: Path) -> str:
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if path.suffix == ".gz" and ending in (".npz", ".parquet"):
        raise SettingError(f"{path}: {ending} is compressed already; leave .gz off")
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
        raise DataError(f"{path}: cannot be read as {ending[1:]} ({str(error).strip()})") from error
    if not len(frame):
        raise DataError(f"{path}: has no rows; give at least one below the names of the columns")
    labels = frame.pop(label_column).to_numpy() if label_column in frame.columns else None
    words = [str(name) for name, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if words:
        raise DataError(
            f"{path}: columns {', '.join(words[:3])} are not numbers; remove them, or name the label column "
            "with --label-column"
        )
    features = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return Table(features, labels, [str(name) for name in frame.columns])


def _read_npz(path: Path) -> Table:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as npz ({error})") from error
    features = arrays["X"] if "X" in arrays else _compressed_matrix(path, arrays)
    labels = arrays.get("y")
    if features.ndim != 2 or not (np.issubdtype(features.dtype, np.number) or features.dtype == bool):
        raise DataError(
            f"{path}: X is {features.dtype} of shape {features.shape}; give numbers (rows, features)"
        )
    if np.iscomplexobj(features):
        raise DataError(f"{path}: X is {features.dtype}; give real numbers")
    if labels is not None and labels.shape != features.shape[:1]:
        raise DataError(
            f"{path}: y has shape {labels.shape} for {features.shape[0]} rows; give one label each"
        )
    return Table(features, labels)


def _compressed_matrix(path: Path, arrays: dict[str, np.ndarray]) -> sparse.csr_array:
    """The matrix whose parts an NPZ file holds, as `scipy.sparse.save_npz` writes them."""
    kinds = {"csr": sparse.csr_array, "csc": sparse.csc_array}
    try:
        name = bytes(arrays.get("format", np.array(b"csr")).item()).decode()
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        matrix = kinds[name](parts, shape=tuple(arrays["shape"]))
        matrix.check_format(full_check=True)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: holds {sorted(arrays)} ({error}); give X, or a CSR or CSC matrix, and y for labels"
        ) from error
    return sparse.csr_array(matrix)


def _check_features(table: Table, path: Path) -> None:
    """Raises DataError for a table without rows or columns, or a value that nobody could learn from."""
    features = table.features
    if 0 in features.shape:
        raise DataError(
            f"{path}: has {features.shape[0]} rows of {features.shape[1]} features; give at least one of each"
        )
    values = features.data if isinstance(features, sparse.csr_array) else features
    wrong = np.argwhere(~(np.abs(values) <= _LARGEST))
    if not len(wrong):
        return
    place = tuple(wrong[0])
    at = features.tocoo().coords if isinstance(features, sparse.csr_array) else np.indices(features.shape)
    row, column = (int(axis[place]) for axis in at)
    name = column + (table.index_base or 0) if table.names is None else table.names[column]
    raise DataError(f"{path}: data row {row + 1} has {values[place]} as feature {name}; drop or repair it")


def _first(wrong: np.ndarray) -> int:
    """The number of the first row that is wrong, counted from 1 and without a line of names."""
    return int(np.argmax(wrong)) + 1


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

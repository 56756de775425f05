"""svmlight files: a label and index:value pairs in each row, with indices from 0 or from 1."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from scipy import sparse

from adversarial.errors import DataError

ENDINGS = (".svmlight", ".svm", ".libsvm")
_ZERO = re.compile(rb"\s0:")


def read(
    paths: Sequence[Path], width: int | None, index_base: int | None
) -> tuple[list[tuple[sparse.csr_array, np.ndarray]], int]:
    """Features and labels of each file, all of one width, and the index that counts as the first.

    Raises DataError with the file and line that cannot be read.
    """
    from sklearn.datasets import load_svmlight_files

    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
    try:
        base = index_base if index_base is not None else (0 if any(_uses_zero(path) for path in paths) else 1)
        options: dict[str, Any] = {"n_features": width, "dtype": np.float64, "zero_based": base == 0}
        try:
            loaded = load_svmlight_files([str(path) for path in paths], **options)
        except (ValueError, OverflowError) as error:
            raise _bad_line(paths, options, error) from error
    except (OSError, EOFError) as error:
        names = ", ".join(str(path) for path in paths)
        raise DataError(f"{names}: cannot be read as svmlight ({error})") from error
    pairs = zip(loaded[::2], loaded[1::2], strict=True)
    return [(sparse.csr_array(features), labels) for features, labels in pairs], base


def write(path: Path, features: Any, labels: np.ndarray | None) -> None:
    """Indices from 0, labels 0 where there are none; compressed if the name ends in .gz. Raises DataError."""
    from sklearn.datasets import dump_svmlight_file

    given = np.zeros(features.shape[0]) if labels is None else labels
    if not np.issubdtype(given.dtype, np.number):
        raise DataError(
            f"{path}: svmlight labels have to be numbers, not {given.dtype}; write CSV or Parquet"
        )
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        dump_svmlight_file(features, given, file, zero_based=True)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _uses_zero(path: Path) -> bool:
    """Whether any row has an index 0, which then is the row's first."""
    with _open(path) as lines:
        return any(_ZERO.search(line.split(b"#", 1)[0]) for line in lines)


def _bad_line(paths: Sequence[Path], options: dict[str, Any], found: Exception) -> DataError:
    """The error for the first line that cannot be read by itself."""
    from sklearn.datasets import load_svmlight_file

    for path in paths:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    load_svmlight_file(io.BytesIO(line), **options)
                except (ValueError, OverflowError) as error:
                    return DataError(
                        f"{path}:{number}: cannot be read as svmlight ({error}); rows are a number for the label "
                        "and index:value pairs with rising indices"
                    )
    return DataError(f"{', '.join(str(path) for path in paths)}: cannot be read as svmlight ({found})")

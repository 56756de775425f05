"""From columns as they stand in files to arrays: ids, numbers, times. Whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cml.errors import DataError

MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138, as milliseconds 1973
LATEST = 253_402_300_800.0  # the year 10000, in seconds; what lies beyond is no time
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
ISO_8601 = r"^\s*\d{4}-\d{2}-\d{2}([T ].*)?$"


def texts(column: pa.ChunkedArray, place: str) -> pa.ChunkedArray:
    """A column of ids as strings: text as it is, integers as their decimal text, empty text as null.

    Raises DataError for other types: a floating 7.0 might have been 7 or 007, so nobody guesses.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.string()) if not pa.types.is_string(kind) else column
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    raise DataError(f"{place}: ids of type {kind} are not exact; store them as strings or integers")


def numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as numbers, NaN where missing, and a mask of the values that are no finite number."""
    missing = as_mask(column.is_null())
    try:
        values = _floats(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = _readable_floats(column)
    return values, ~missing & ~np.isfinite(values)


def seconds(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as seconds since 1970, NaN where missing, and a mask of the values that are no time.

    Numbers from 1e11 on (and below -1e11) are milliseconds, other numbers seconds. Text that is no number is
    ISO 8601, from the day on; without an offset it is UTC. Times beyond the year 9999 are none.
    """
    missing = as_mask(column.is_null())
    if pa.types.is_temporal(column.type):
        values = _floats(column.cast(pa.timestamp("us")).cast(pa.int64())) / 1e6
    else:
        values, wrong = numbers(column)
        milliseconds = np.abs(values) >= MILLISECONDS_FROM
        values[milliseconds] /= 1000
        if wrong.any() and _is_text(column):
            values[wrong] = _iso_seconds(column.filter(pa.array(wrong)))
    return values, ~missing & ~(np.abs(values) < LATEST)


def as_mask(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """A boolean column without nulls as an array."""
    return np.asarray(column.to_numpy(), dtype=bool)


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    # A copy: Arrow's own buffers are read-only.
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _readable_floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """The numbers among the values, NaN for the rest."""
    if not _is_text(column):
        return np.full(len(column), np.nan)
    readable = pc.match_substring_regex(column, NUMBER)
    kept = pc.if_else(readable, pc.utf8_trim_whitespace(column), pa.scalar(None, column.type))
    return _floats(kept)


def _iso_seconds(column: pa.ChunkedArray) -> NDArray[np.float64]:
    import pandas as pd  # only where times are text: it takes longer to import than most files to read

    # The pattern keeps out what pandas would read from the clock ("now") or guess ("2013").
    dated = pc.if_else(pc.match_substring_regex(column, ISO_8601), column, pa.scalar(None, column.type))
    trimmed = pc.utf8_trim_whitespace(dated)
    times = pd.to_datetime(
        pd.Series(trimmed.to_pylist(), dtype=object), format="ISO8601", utc=True, errors="coerce"
    )
    values = times.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) / 1e6)


class Ids:
    """Ids by row, growing in the order of first appearance."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._rows: dict[str, int] = {value: row for row, value in enumerate(known)}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._rows)

    def rows(self, column: pa.ChunkedArray) -> NDArray[np.int32]:
        """Rows of a column of strings without nulls; new ids get the next rows."""
        encoded = column.combine_chunks().dictionary_encode()
        rows = self._rows
        row_of = np.fromiter(
            (rows.setdefault(value, len(rows)) for value in encoded.dictionary.to_pylist()),
            dtype=np.int32,
            count=len(encoded.dictionary),
        )
        return row_of[encoded.indices.to_numpy()]

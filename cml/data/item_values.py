"""What a column of an item table holds (text, tags, numbers, dates), and its values for a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cml.data.columns import ISO_8601, numbers, seconds

KINDS = ("text", "tags", "number", "date")
TAG_NAMES = ("genres", "genre", "tags", "tag", "categories", "category")
TAG_SEPARATOR = "|"
MOSTLY = 0.95  # of the values present: real tables have a few "n/a" and "1975-1979" among their numbers
PLAIN_NUMBER = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"


def kind_of(name: str, column: pa.ChunkedArray) -> str:
    """The first of these that fits: text if the column is the title; what its type says, if it is not text;
    tags if it is called like one of `TAG_NAMES`; number or date if `MOSTLY` all values are numbers (`007` is
    none) or ISO 8601; tags if a value holds `|`; text.
    """
    if name == "title":
        return "text"
    if not _is_text(column.type):
        return _kind_of_type(column.type)
    if name in TAG_NAMES:
        return "tags"
    present = column.drop_null()
    if not len(present):
        return "text"
    for kind, pattern in (("number", PLAIN_NUMBER), ("date", ISO_8601)):
        if pc.mean(pc.match_substring_regex(present, pattern)).as_py() >= MOSTLY:
            return kind
    return "tags" if pc.any(pc.match_substring(present, TAG_SEPARATOR)).as_py() else "text"


def values_of(column: pa.ChunkedArray, kind: str) -> tuple[list[Any], list[str]]:
    """The column's values, None where missing, and the texts that are not of the kind (also missing).

    Values are strings, lists of strings, or floats (dates as seconds since 1970).
    """
    if kind == "tags":
        return [_tags(value) for value in column.to_pylist()], []
    if kind == "text":
        return [None if value is None else str(value) for value in column.to_pylist()], []
    values, wrong = (numbers if kind == "number" else seconds)(column)
    unreadable = [str(value) for value in column.filter(pa.array(wrong)).to_pylist()]
    return [
        value if known else None for value, known in zip(values.tolist(), ~np.isnan(values), strict=True)
    ], unreadable


def _kind_of_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "tags"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "date" if pa.types.is_temporal(kind) else "text"


def _tags(value: Any) -> list[str] | None:
    if value is None:
        return None
    parts = value.split(TAG_SEPARATOR) if isinstance(value, str) else map(str, value)
    return [part.strip() for part in parts if part.strip()] or None


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))

"""What is known about items besides their vectors: titles to show; tags, numbers, dates to filter by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.conditions import seconds_since_1970
from cml.errors import DataError, QueryError
from cml.item_columns import KINDS, Column, DateColumn, infer_kind
from cml.titles import TitleSearch

TITLE = "title"
AVAILABLE_FROM = "available_from"
AVAILABLE_UNTIL = "available_until"


class Catalogue:
    """Metadata of `n_items` items by column; columnar, so that it is memory-mapped instead of parsed.

    Three column names mean something: `title` is searched and shown; `available_from` and `available_until`
    (dates) bound the time in which an item may be recommended.
    """

    def __init__(self, n_items: int, columns: Mapping[str, Column], titles: TitleSearch) -> None:
        self.n_items = n_items
        self.columns = dict(columns)
        self._titles = titles

    @classmethod
    def empty(cls, n_items: int) -> Catalogue:
        """A catalogue that knows nothing about its items."""
        return cls.from_columns(n_items, {})

    @classmethod
    def from_columns(
        cls, n_items: int, columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, str] | None = None
    ) -> Catalogue:
        """Columns with one value an item; None and NaN are missing.

        `kinds` gives a column's kind (text, tags, number, date); without it the first value present decides.
        Raises DataError for a column of another length, an unknown kind or a value that is not of its kind.
        """
        kinds = kinds or {}
        built: dict[str, Column] = {}
        for name, values in columns.items():
            if len(values) != n_items:
                raise DataError(f"metadata column {name!r} has {len(values)} values for {n_items} items")
            built[name] = _build(name, values, kinds.get(name) or infer_kind(values))
        titles = built.get(TITLE)
        return cls(
            n_items, built, TitleSearch.build([titles.value(row) for row in range(n_items)] if titles else [])
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Catalogue:
        """The catalogue behind `arrays()`; memory-mapped arrays stay mapped."""
        grouped: dict[str, dict[str, NDArray]] = {}
        for key, array in arrays.items():
            column, separator, part = key.rpartition(":")
            if separator:
                grouped.setdefault(column, {})[part] = array
        titles = TitleSearch.from_arrays(grouped.pop("search"))
        columns: dict[str, Column] = {}
        for key in sorted(grouped, key=lambda key: int(key.partition(":")[0])):
            _, kind, name = key.split(":", 2)
            columns[name] = KINDS[kind].from_arrays(grouped[key])
        return cls(int(arrays["n_items"][0]), columns, titles)

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store; the keys carry each column's position, kind and name."""
        flat: dict[str, NDArray] = {"n_items": np.array([self.n_items], dtype=np.int64)}
        flat |= {f"search:{part}": array for part, array in self._titles.arrays().items()}
        for position, (name, column) in enumerate(self.columns.items()):
            for part, array in column.arrays().items():
                flat[f"{position}:{column.kind}:{name}:{part}"] = array
        return flat

    def title(self, row: int) -> str | None:
        """The item's title, None where there is none."""
        column = self.columns.get(TITLE)
        value = column.value(row) if column else None
        return None if value is None else str(value)

    def record(self, row: int) -> dict[str, Any]:
        """The item's metadata for JSON, in column order, without what is missing; dates are ISO 8601."""
        values = ((name, column.value(row)) for name, column in self.columns.items())
        return {name: value for name, value in values if value is not None}

    def search_titles(self, query: str, limit: int) -> list[int]:
        """Rows of items whose title holds every word of the query: the whole title first, then beginnings,
        then whole words, then parts of words; shorter titles first within each."""
        return self._titles.search(query, limit)

    def title_ranks(self, query: str) -> dict[int, tuple[int, int]]:
        """How well those titles match, by row; smaller is better."""
        return self._titles.ranks(query)

    def matching(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Mask (n_items,) of the items that satisfy the conditions on all named columns.

        tags: `{"any": [...], "all": [...], "none": [...]}`; numbers and dates: `{"min": .., "max": ..}`
        (inclusive), `any`, `none`; a bare value or list means `any`. Raises QueryError naming the column.
        """
        mask = np.ones(self.n_items, dtype=bool)
        for name, condition in where.items():
            if name not in self.columns:
                known = ", ".join(self.columns) or "none"
                raise QueryError(f"filter on {name!r}: no such column; this catalogue has: {known}")
            try:
                mask &= self.columns[name].matching(condition)
            except QueryError as error:
                raise QueryError(f"filter on {name!r}: {error}") from None
        return mask

    def available(self, moment: Any) -> NDArray[np.bool_] | None:
        """Mask (n_items,) of the items available at a moment (seconds since 1970, datetime or ISO 8601).

        An item without a date is unbounded on that side. None when the catalogue has no such columns. Raises
        ValueError, TypeError or OverflowError for what is no moment.
        """
        seconds = seconds_since_1970(moment)
        bounds = [(name, self.columns.get(name)) for name in (AVAILABLE_FROM, AVAILABLE_UNTIL)]
        if not any(isinstance(column, DateColumn) for _, column in bounds):
            return None
        mask = np.ones(self.n_items, dtype=bool)
        for name, column in bounds:
            if isinstance(column, DateColumn):
                late, early = column.values > seconds, column.values <= seconds
                mask &= ~late if name == AVAILABLE_FROM else ~early
        return mask


def _build(name: str, values: Sequence[Any], kind: str) -> Column:
    if kind not in KINDS:
        raise DataError(f"metadata column {name!r}: kind {kind!r} is not one of {', '.join(KINDS)}")
    try:
        return KINDS[kind].build(values)
    except (ValueError, TypeError, OverflowError, DataError) as error:
        raise DataError(
            f"metadata column {name!r} of kind {kind}: {error}; fix the value or the kind"
        ) from None

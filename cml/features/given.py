"""Features that came with items one by one or by catalogue: no table and no file of training has them.

Rows of feature matrices that `cml items add` was given are kept in the version; what was said over HTTP stands in the
event store. Whoever trains the next version completes with them what its tables and files say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.features.encoding import FeatureEncoder
from cml.features.matrix import MatrixRow, width_of
from cml.features.schema import MATRIX, Feature, FeatureSchema
from cml.features.values import misfit
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

ByItem = dict[int, MatrixRow]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Compressed rows of one matrix: item `items[i]` has values[indptr[i]:indptr[i + 1]]."""

    items: NDArray[np.int64]  # ascending item rows
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]  # empty where every row names every column
    values: NDArray[np.float32]
    width: int

    @classmethod
    def of(cls, rows: ByItem) -> _Rows:
        """Raises ValueError for rows of several widths."""
        (width,) = {row.width for row in rows.values()}
        items = np.array(sorted(rows), dtype=np.int64)
        ordered = [rows[item] for item in items.tolist()]
        indptr = np.concatenate([[0], np.cumsum([len(row.values) for row in ordered])]).astype(np.int64)
        full = all(len(row.values) == width for row in ordered)
        columns = [] if full else [np.asarray(row.columns, dtype=np.int32) for row in ordered]
        values = [np.asarray(row.values, dtype=np.float32) for row in ordered]
        return cls(
            items, indptr, np.concatenate([np.empty(0, np.int32), *columns]), np.concatenate(values), width
        )

    def row(self, item: int) -> MatrixRow | None:
        at = int(np.searchsorted(self.items, item))
        if at == len(self.items) or self.items[at] != item:
            return None
        cells = slice(int(self.indptr[at]), int(self.indptr[at + 1]))
        columns = self.columns[cells] if len(self.columns) else np.arange(self.width)
        return MatrixRow(columns, self.values[cells], self.width)


class GivenRows:
    """Rows of feature matrices, by name, of some items of a version. Never changes."""

    def __init__(self, matrices: Mapping[str, _Rows]) -> None:
        self._matrices = matrices

    @classmethod
    def of(cls, rows: Mapping[str, ByItem]) -> GivenRows:
        """These rows by name and item row, all of a name equally wide. Numbers are kept as float32."""
        return cls({name: _Rows.of(by_item) for name, by_item in rows.items() if by_item})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> GivenRows:
        """The rows behind `arrays()`; memory-mapped arrays stay mapped."""
        names = dict.fromkeys(name.rpartition(":")[0] for name in arrays)
        return cls(
            {
                name: _Rows(
                    arrays[f"{name}:items"],
                    arrays[f"{name}:indptr"],
                    arrays[f"{name}:columns"],
                    arrays[f"{name}:values"],
                    int(arrays[f"{name}:width"][0]),
                )
                for name in names
            }
        )

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store."""
        return {
            f"{name}:{part}": array
            for name, rows in self._matrices.items()
            for part, array in (vars(rows) | {"width": np.array([rows.width], np.int64)}).items()
        }

    def __bool__(self) -> bool:
        return bool(self._matrices)

    def items(self) -> list[int]:
        """The rows of all items of which something is kept, ascending."""
        return sorted({item for rows in self._matrices.values() for item in rows.items.tolist()})

    def of_item(self, item: int) -> dict[str, MatrixRow]:
        """The item's row of each matrix that has one."""
        found = {name: rows.row(item) for name, rows in self._matrices.items()}
        return {name: row for name, row in found.items() if row is not None}

    def joined(self, others: GivenRows) -> GivenRows:
        """These and the others, which count where both have a row, and also where theirs are of another width."""
        mine, theirs = dict(self._by_item()), others._by_item()
        for name, rows in theirs.items():
            width = others._matrices[name].width
            kept = {item: row for item, row in mine.get(name, {}).items() if row.width == width}
            mine[name] = kept | rows
        return GivenRows.of(mine)

    def over(self, old: Vocabulary, new: Vocabulary, encoder: FeatureEncoder) -> GivenRows:
        """The rows of items that `new` has as well, by their rows there, of matrices that the encoder has."""
        widths = {each.feature.column: each.width for each in encoder.fitted if each.feature.kind == MATRIX}
        moved: dict[str, ByItem] = {}
        for name, by_item in self._by_item().items():
            if widths.get(name) == self._matrices[name].width:
                rows = new.rows([old[item] for item in by_item]).tolist()
                pairs = zip(rows, by_item.values(), strict=True)
                moved[name] = {row: given for row, given in pairs if row != UNKNOWN_ROW}
        return GivenRows.of(moved)

    def _by_item(self) -> dict[str, ByItem]:
        return {
            name: {item: row for item in rows.items.tolist() if (row := rows.row(item))}
            for name, rows in self._matrices.items()
        }


NO_ROWS = GivenRows({})


@dataclass(frozen=True, eq=False)
class Told:
    """What is known of items' features beside tables and files: rows that the version before keeps of its items,
    and by item id the features that were said over HTTP."""

    items: Vocabulary
    rows: GivenRows
    said: Mapping[str, Mapping[str, object]]

    def completed(
        self, known: Sequence[Mapping[str, Any]], schema: FeatureSchema, items: Vocabulary
    ) -> list[dict[str, Any]]:
        """The items' values, in their order: kept rows where there is none, and what was said in place of all else.

        What does not fit its feature, or the width of the matrix, was said of another version and is left out.
        """
        completed = [dict(values) for values in known]
        widths = {
            feature.column: next(filter(None, (width_of(feature.column, item) for item in known)), None)
            for feature in schema.features
            if feature.kind == MATRIX
        }
        features = {feature.column: feature for feature in schema.features}
        for values, rows in self._kept(completed, items):
            for name, row in rows.items():
                if name in widths and values.get(name) is None and _suits(features[name], row, widths):
                    values[name] = row
        for item_id in sorted(self.said):
            if (at := items.find(item_id)) != UNKNOWN_ROW:
                said = {name: value for name, value in self.said[item_id].items() if name in features}
                completed[at] |= {
                    name: value for name, value in said.items() if _suits(features[name], value, widths)
                }
        return completed

    def _kept(
        self, values: Sequence[dict[str, Any]], items: Vocabulary
    ) -> Iterator[tuple[dict[str, Any], dict[str, MatrixRow]]]:
        """The values of items of which rows are kept, with these."""
        for row in self.rows.items():
            if (at := items.find(self.items[row])) != UNKNOWN_ROW:
                yield values[at], self.rows.of_item(row)


def _suits(feature: Feature, value: object, widths: dict[str, int | None]) -> bool:
    """Whether a value fits its feature; a matrix of which nothing is known yet takes the width of the first row."""
    if value is None or misfit(feature, value):
        return False
    if feature.kind != MATRIX:
        return True
    width = width_of(feature.column, {feature.column: value})
    widths[feature.column] = widths[feature.column] or width
    return width == widths[feature.column]


NOTHING_TOLD = Told(Vocabulary(()), NO_ROWS, MappingProxyType({}))

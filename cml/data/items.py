"""Item tables: titles to show and columns to filter by, from the same file formats as interactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cml.catalogue import Catalogue
from cml.data.columns import texts
from cml.data.formats import Headerless, Layout, recognise, shown
from cml.data.item_values import KINDS, kind_of, values_of
from cml.data.movielens import ITEM_LAYOUTS, as_plain_columns
from cml.data.rejects import Reason, Reject, Rejects
from cml.data.tables import Chunk, read_chunks
from cml.errors import ConfigError, DataError
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

ID_COLUMN = "item_id"


@dataclass(frozen=True)
class Subject:
    """What a table is about, and how public data sets write such a table."""

    noun: str
    id_column: str
    id_aliases: tuple[str, ...]
    title_aliases: tuple[str, ...]
    layouts: tuple[Headerless, ...]

    @property
    def missing_id(self) -> Reason:
        return Reason(f"missing {self.noun} id", "fill it in or drop the row")

    @property
    def repeated_id(self) -> Reason:
        return Reason(f"the {self.noun} has a row already, which counts", "drop one of the two")


ABOUT_ITEMS = Subject("item", ID_COLUMN, ("movieId", "book_id", "parent_asin", "id"), ("name",), ITEM_LAYOUTS)


@dataclass(frozen=True)
class ItemReport:
    """What became of an item table's rows."""

    layout: str
    rows: int
    rejects: Rejects
    matched: int  # items of the vocabulary that have a row
    unmatched: int  # items of the vocabulary that have none
    unused: int  # rows of items outside the vocabulary
    kinds: Mapping[str, str]  # column -> what it was read as
    unreadable: Mapping[str, list[str]]  # column -> its values that are not of that kind, left out

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "layout": self.layout,
            "rows": self.rows,
            "rejected": dict(self.rejects.counts),
            "first_rejected": [str(reject) for reject in self.rejects.first],
            "matched": self.matched,
            "unmatched": self.unmatched,
            "unused": self.unused,
            "kinds": dict(self.kinds),
            "unreadable": {name: len(values) for name, values in self.unreadable.items()},
        }


@dataclass(frozen=True)
class ItemReading:
    """Item metadata by row of the vocabulary, and how it came about."""

    items: Vocabulary
    catalogue: Catalogue
    report: ItemReport


def read_items(
    path: Path,
    items: Vocabulary,
    *,
    id_column: str = ID_COLUMN,
    kinds: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Catalogue:
    """The catalogue of `read_item_table`, for callers who do not report."""
    return read_item_table(path, items, id_column=id_column, kinds=kinds, strict=strict).catalogue


def read_item_table(
    path: Path,
    items: Vocabulary | None,
    *,
    id_column: str = ID_COLUMN,
    kinds: Mapping[str, str] | None = None,
    usual_kinds: Mapping[str, str] | None = None,
    strict: bool = False,
    about: Subject = ABOUT_ITEMS,
) -> ItemReading:
    """Read an item table into a catalogue of `len(items)` rows; items without a row there have no metadata.

    Without `items` it is about the table's own items, in its order. All columns but the id are kept under their
    names, typed as `kinds` says (column -> text, tags, number or date), else as `usual_kinds` does, which may
    name columns that the table lacks, else by `item_values.kind_of`. Of several rows of an item the first counts.

    strict: a rejected row raises. about: users are described by tables of the same kind. Raises DataError when the
    table cannot be used, ConfigError for a kind or column that does not exist.
    """
    path = Path(path)
    layout = recognise(path, about.layouts)
    id_column = _find_id(path, layout, id_column, about)
    rejects, n_rows = Rejects(), 0
    parts: list[Mapping[str, pa.ChunkedArray]] = []
    seen: set[str] = set()
    for chunk in read_chunks(path, layout, layout.columns, ids={id_column}):
        n_rows += len(chunk) + len(chunk.broken)
        parts.append(_usable(path, chunk, id_column, seen, rejects, about))
        if strict and len(rejects):
            raise DataError(f"{rejects.by_line()[0]} (strict: the file is refused)")
    if not seen:
        raise DataError(f"{path}: none of {n_rows:,} rows has a usable {about.noun} id" + _first(rejects))
    columns = _named(
        layout, {name: _joined([part[name] for part in parts]) for name in layout.columns}, about
    )
    ids = columns.pop(id_column).to_pylist()
    items = Vocabulary(ids) if items is None else items
    rows = items.rows(ids)
    used = _kinds(path, columns, kinds or {}, usual_kinds or {})
    values = {name: values_of(column, used[name]) for name, column in columns.items()}
    placed = {name: _placed(column, rows, len(items)) for name, (column, _) in values.items()}
    matched = int(np.count_nonzero(rows != UNKNOWN_ROW))
    report = ItemReport(
        layout=layout.name,
        rows=n_rows,
        rejects=rejects,
        matched=matched,
        unmatched=len(items) - matched,
        unused=len(rows) - matched,
        kinds=used,
        unreadable={name: wrong for name, (_, wrong) in values.items() if wrong},
    )
    return ItemReading(items, Catalogue.from_columns(len(items), placed, used), report)


def item_ids(path: Path, *, id_column: str = ID_COLUMN) -> list[str]:
    """The ids of an item table, ascending. Raises DataError when it has none or cannot be read."""
    path = Path(path)
    layout = recognise(path, ITEM_LAYOUTS)
    id_column = _find_id(path, layout, id_column, ABOUT_ITEMS)
    seen: set[str] = set()
    rejects = Rejects()
    for chunk in read_chunks(path, layout, layout.columns, ids={id_column}):
        _usable(path, chunk, id_column, seen, rejects, ABOUT_ITEMS)
    if not seen:
        raise DataError(f"{path}: no row has a usable item id" + _first(rejects))
    return sorted(seen)


def read_others(path: Path, known: Vocabulary, *, kinds: Mapping[str, str] | None = None) -> Catalogue:
    """The catalogue of a table's items that `known` lacks, by ascending id. Raises DataError when it has all."""
    others = [item_id for item_id in item_ids(path) if known.find(item_id) == UNKNOWN_ROW]
    if not others:
        raise DataError(f"{path}: every item in it is known already; a target catalogue holds other items")
    return read_items(path, Vocabulary(others), kinds=kinds)


def _find_id(path: Path, layout: Layout, wanted: str, about: Subject) -> str:
    names = (wanted, *about.id_aliases) if wanted == about.id_column else (wanted,)
    column = next((name for name in names if name in layout.columns), None)
    if column is None:
        raise DataError(
            f"{path}: has no column {wanted!r} (read as {layout.name}, columns {shown(layout.columns)}); "
            "name the id column right, or give the file a header line"
        )
    return column


def _usable(
    path: Path, chunk: Chunk, id_column: str, seen: set[str], rejects: Rejects, about: Subject
) -> Mapping[str, pa.ChunkedArray]:
    """The columns without rejected rows, ids as strings; `seen` and `rejects` grow."""
    for reject in chunk.broken:
        rejects.add(reject)
    ids = texts(chunk.columns[id_column], f"{path}: column {id_column!r}")
    keep = []
    for index, item_id in enumerate(ids.to_pylist()):
        keep.append(item_id is not None and item_id not in seen)
        if not keep[-1]:
            reason = about.missing_id if item_id is None else about.repeated_id
            located = (
                [Reject(path, chunk.line_of(index), item_id or "", reason)] if rejects.wants(reason) else []
            )
            rejects.add_counted(reason, 1, located)
        else:
            seen.add(item_id)
    mask = pa.array(keep, type=pa.bool_())
    return {name: column.filter(mask) for name, column in {**chunk.columns, id_column: ids}.items()}


def _joined(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)


def _named(
    layout: Layout, columns: Mapping[str, pa.ChunkedArray], about: Subject
) -> dict[str, pa.ChunkedArray]:
    """The columns in plain form, with a title where a public data set calls it otherwise."""
    plain = dict(as_plain_columns(layout, columns))
    alias = next((name for name in about.title_aliases if name in plain and "title" not in plain), None)
    return {"title" if name == alias else name: column for name, column in plain.items()}


def _kinds(
    path: Path, columns: Mapping[str, pa.ChunkedArray], asked: Mapping[str, str], usual: Mapping[str, str]
) -> dict[str, str]:
    for name, kind in asked.items():
        if name not in columns:
            raise ConfigError(
                f"{path}: no column {name!r} to read as {kind}; columns: {shown(tuple(columns))}"
            )
        if kind not in KINDS:
            raise ConfigError(f"column {name!r}: kind {kind!r} is not one of {', '.join(KINDS)}")
    return {
        name: asked.get(name) or usual.get(name) or kind_of(name, column) for name, column in columns.items()
    }


def _placed(values: list[Any], rows: NDArray[np.int64], n_items: int) -> list[Any]:
    """Values by row of the vocabulary, None where the table says nothing."""
    placed: list[Any] = [None] * n_items
    for row, value in zip(rows.tolist(), values, strict=True):
        if row != UNKNOWN_ROW:
            placed[row] = value
    return placed


def _first(rejects: Rejects) -> str:
    return f"; first: {rejects.by_line()[0]}" if rejects.first else "; is this the right file?"

"""A catalogue with what was said about its items since: by the service as it answers, by retraining for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cml.catalogue import AVAILABLE_FROM, AVAILABLE_UNTIL, Catalogue
from cml.errors import DataError
from cml.item_columns import DateColumn, infer_kind, is_missing

_MEANT = {AVAILABLE_FROM: DateColumn.kind, AVAILABLE_UNTIL: DateColumn.kind}


def changed_catalogue(catalogue: Catalogue, changed: Mapping[int, Mapping[str, Any]]) -> Catalogue:
    """The catalogue with the metadata of some rows replaced, column by column; new columns are added.

    A value that does not fit the kind of its column was said of another version, and is left out. A new column
    has the kind of its first value.
    """
    kinds = _kinds(changed.values(), catalogue)
    columns: dict[str, list[Any]] = {
        name: [column.value(row) for row in range(catalogue.n_items)]
        for name, column in catalogue.columns.items()
    }
    for row, metadata in changed.items():
        for name, value in metadata.items():
            if not _unfit(name, value, kinds.get(name)):
                columns.setdefault(name, [None] * catalogue.n_items)[row] = value
    return Catalogue.from_columns(catalogue.n_items, columns, kinds)


def catalogue_of(said: Sequence[Mapping[str, Any]], like: Catalogue) -> Catalogue:
    """A catalogue of new items, one each, by the same rules: the columns of another one, and new ones."""
    kinds = _kinds(said, like)
    columns = {
        name: [
            None if _unfit(name, metadata.get(name), kinds.get(name)) else metadata.get(name)
            for metadata in said
        ]
        for name in kinds
    }
    return Catalogue.from_columns(len(said), columns, kinds)


def misfit(name: str, value: Any, catalogue: Catalogue) -> str | None:
    """Why the value cannot stand in the column of this name; None when it can."""
    column = catalogue.columns.get(name)
    return _unfit(name, value, column.kind if column else _MEANT.get(name))


def _kinds(said: Iterable[Mapping[str, Any]], catalogue: Catalogue) -> dict[str, str]:
    """The kinds of the catalogue's columns and of those that were said besides."""
    kinds = {name: column.kind for name, column in catalogue.columns.items()}
    for metadata in said:
        for name, value in metadata.items():
            if name not in kinds and not is_missing(value):
                kinds[name] = _MEANT.get(name) or infer_kind([value])
    return kinds


def _unfit(name: str, value: Any, kind: str | None) -> str | None:
    try:
        Catalogue.from_columns(1, {name: [value]}, {name: kind} if kind else None)
    except DataError as error:
        return str(error)
    return None

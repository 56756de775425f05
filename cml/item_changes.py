"""A catalogue with what was said about its items since: by the service as it answers, by retraining for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cml.catalogue import AVAILABLE_FROM, AVAILABLE_UNTIL, Catalogue
from cml.errors import DataError
from cml.item_columns import KINDS, DateColumn, infer_kind, is_missing

_MEANT: Mapping[str, str] = {AVAILABLE_FROM: DateColumn.kind, AVAILABLE_UNTIL: DateColumn.kind}


def changed_catalogue(
    catalogue: Catalogue, changed: Mapping[int, Mapping[str, Any]], kinds_of_new: Mapping[str, str] = _MEANT
) -> Catalogue:
    """The catalogue with the metadata of some rows replaced, column by column; new columns are added.

    A value that does not fit the kind of its column was said of another version, and is left out. A new column
    is of the given kind, or of the kind of its first value.
    """
    kinds = kinds_with(changed.values(), kinds_of(catalogue), kinds_of_new)
    columns: dict[str, list[Any]] = {
        name: [column.value(row) for row in range(catalogue.n_items)]
        for name, column in catalogue.columns.items()
    }
    for name, kind in kinds.items():
        rows = [row for row, metadata in changed.items() if name in metadata]
        values = [changed[row][name] for row in rows]
        for row, value, fits in zip(rows, values, _fits(values, kind), strict=True):
            if fits:
                columns.setdefault(name, [None] * catalogue.n_items)[row] = value
    return Catalogue.from_columns(catalogue.n_items, columns, kinds)


def catalogue_of(
    said: Sequence[Mapping[str, Any]], like: Mapping[str, str], kinds_of_new: Mapping[str, str] = _MEANT
) -> Catalogue:
    """A catalogue of new items, one each, by the same rules: columns of the kinds in `like`, and new ones."""
    kinds = kinds_with(said, like, kinds_of_new)
    columns = dict[str, list[Any]]()
    for name, kind in kinds.items():
        values = [metadata.get(name) for metadata in said]
        fitting = zip(values, _fits(values, kind), strict=True)
        columns[name] = [value if fits else None for value, fits in fitting]
    return Catalogue.from_columns(len(said), columns, kinds)


def kinds_of(catalogue: Catalogue) -> dict[str, str]:
    """The kinds of its columns."""
    return {name: column.kind for name, column in catalogue.columns.items()}


def kinds_with(
    said: Iterable[Mapping[str, Any]], known: Mapping[str, str], of_new: Mapping[str, str] = _MEANT
) -> dict[str, str]:
    """The kinds of the known columns and of those that were said besides."""
    kinds = dict(known)
    for metadata in said:
        for name, value in metadata.items():
            if name not in kinds and not is_missing(value):
                kinds[name] = of_new.get(name) or infer_kind([value])
    return kinds


def joined(first: Catalogue, second: Catalogue) -> Catalogue:
    """A catalogue of the items of both, one after the other, with the columns of either; the first one's kinds."""
    columns, kinds = dict[str, list[Any]](), dict[str, str]()
    for catalogue in (second, first):
        kinds |= {name: column.kind for name, column in catalogue.columns.items()}
    for name in [*first.columns, *(name for name in second.columns if name not in first.columns)]:
        columns[name] = [
            column.value(row) if column else None
            for catalogue in (first, second)
            for column in (catalogue.columns.get(name),)
            for row in range(catalogue.n_items)
        ]
    return Catalogue.from_columns(first.n_items + second.n_items, columns, kinds)


def misfit(name: str, value: Any, catalogue: Catalogue) -> str | None:
    """Why the value cannot stand in the column of this name; None when it can."""
    column = catalogue.columns.get(name)
    return _unfit(name, value, column.kind if column else _MEANT.get(name))


def _fits(values: Sequence[Any], kind: str) -> list[bool]:
    """Which values can stand in a column of a kind. Mostly all can: they are tried together first."""
    try:
        KINDS[kind].build(values)
    except (ValueError, TypeError, OverflowError, DataError):
        return [all(_fits([value], kind)) for value in values] if len(values) > 1 else [False]
    return [True] * len(values)


def _unfit(name: str, value: Any, kind: str | None) -> str | None:
    try:
        Catalogue.from_columns(1, {name: [value]}, {name: kind} if kind else None)
    except DataError as error:
        return str(error)
    return None

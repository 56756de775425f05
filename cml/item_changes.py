"""A catalogue with what was said about its items since: by the service as it answers, by retraining for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cml.catalogue import Catalogue
from cml.errors import DataError


def changed_catalogue(catalogue: Catalogue, changed: Mapping[int, Mapping[str, Any]]) -> Catalogue:
    """The catalogue with the metadata of some rows replaced, column by column; new columns are added.

    A value that does not fit the kind of its column was said of another version, and is left out.
    """
    kinds = {name: column.kind for name, column in catalogue.columns.items()}
    columns: dict[str, list[Any]] = {
        name: [column.value(row) for row in range(catalogue.n_items)]
        for name, column in catalogue.columns.items()
    }
    for row, metadata in changed.items():
        for name, value in metadata.items():
            if not misfit(name, value, catalogue):
                columns.setdefault(name, [None] * catalogue.n_items)[row] = value
    return Catalogue.from_columns(catalogue.n_items, columns, kinds)


def misfit(name: str, value: Any, catalogue: Catalogue) -> str | None:
    """Why the value cannot stand in the column of this name; None when it can."""
    column = catalogue.columns.get(name)
    try:
        Catalogue.from_columns(1, {name: [value]}, {name: column.kind} if column else None)
    except DataError as error:
        return str(error)
    return None

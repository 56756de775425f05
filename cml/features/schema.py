"""Which columns of an item table are features, and what kind of value each holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cml.errors import ConfigError

FeatureKind = Literal["categorical", "multi", "numeric", "text", "hashed", "matrix"]
MATRIX: FeatureKind = "matrix"  # from a file of its own, not from the item table
HASHED: FeatureKind = "hashed"  # a text whose words are columns by their hash [HASH-1]
KINDS: tuple[str, ...] = get_args(FeatureKind)
OF_COLUMN: dict[str, FeatureKind] = {"tags": "multi", "number": "numeric", "date": "numeric", "text": "text"}


@dataclass(frozen=True)
class Feature:
    """One column and the kind of its values."""

    column: str
    kind: FeatureKind

    def __post_init__(self) -> None:
        if not self.column:
            raise ConfigError("a feature has no column name; write it as column:kind")
        if self.kind not in KINDS:
            raise ConfigError(
                f"feature {self.column!r}: unknown kind {self.kind!r}; use one of {', '.join(KINDS)}"
            )


@dataclass(frozen=True)
class FeatureSchema:
    """The features of an item or a user, in the order in which their columns stand in an encoded row."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        if not self.features:
            raise ConfigError("the feature schema is empty; name at least one column")
        columns = [feature.column for feature in self.features]
        repeated = sorted({column for column in columns if columns.count(column) > 1})
        if repeated:
            raise ConfigError(f"feature {repeated[0]!r} is declared twice; keep one of the two")

    @classmethod
    def parse(
        cls,
        words: Iterable[str],
        columns: Mapping[str, str],
        matrices: Iterable[str] = (),
        what: str = "item",
    ) -> FeatureSchema:
        """The schema that words such as `genres` or `year:numeric` declare, then the named matrices.

        columns: the table's columns with the kind in which each was read, which decides where a word does not.
        what: the table is about. Raises ConfigError for a column that is not there, for an unknown kind, and for a
        matrix that is called like a column.
        """
        names = tuple(matrices)
        if taken := [name for name in names if name in columns]:
            raise ConfigError(
                f"feature matrix {taken[0]!r}: the {what} table has a column of that name; call the matrix otherwise"
            )
        return cls(
            (*(_parsed(word, columns, what) for word in words), *(Feature(name, MATRIX) for name in names))
        )


def _parsed(word: str, columns: Mapping[str, str], what: str) -> Feature:
    column, separator, kind = (word, "", "") if word in columns else word.rpartition(":")
    if not separator:
        column = word
    if column not in columns:
        raise ConfigError(
            f"feature {word!r}: the {what} table has no column {column!r}, only {', '.join(columns) or 'ids'}"
        )
    if kind == MATRIX:
        raise ConfigError(
            f"feature {word!r}: a matrix is no column of the {what} table; give its file as "
            f'{"user_" if what == "user" else ""}features.matrices = ["NAME=FILE"]'
        )
    return Feature(column, kind if separator else OF_COLUMN[columns[column]])  # type: ignore[arg-type]

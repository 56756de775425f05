"""From the values of items to sparse rows of numbers; fitted once, then applied alike in training and serving.

A missing value leaves its feature's columns zero, which for a number means the mean of what was fitted. A value that
was not there when fitting is unknown and counts as missing. A feature that is no number has length one, or zero.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.errors import DataError
from cml.features.schema import Feature, FeatureSchema

Item = Mapping[str, object]
WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class SparseRows:
    """Rows in compressed form: row i holds values[indptr[i]:indptr[i + 1]] at columns indices[...]."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.float32]
    n_columns: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def dense(self) -> NDArray[np.float32]:
        """(rows, columns); for few rows only."""
        rows = np.zeros((len(self), self.n_columns), dtype=np.float32)
        rows[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.indices] = self.values
        return rows


@dataclass(frozen=True)
class FittedFeature:
    """A feature with what was learned of it: its terms and their weights, or a number's mean and scale."""

    feature: Feature
    terms: tuple[str, ...]
    weights: NDArray[np.float64]
    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        return 1 if self.feature.kind == "numeric" else len(self.terms)


class FeatureEncoder:
    """Encodes items by a schema and what was fitted on the items of training."""

    def __init__(self, fitted: Sequence[FittedFeature]) -> None:
        self.schema = FeatureSchema(tuple(each.feature for each in fitted))
        self.fitted = tuple(fitted)
        self.n_columns = sum(each.width for each in fitted)
        self._columns = [{term: column for column, term in enumerate(each.terms)} for each in fitted]

    @classmethod
    def fit(cls, schema: FeatureSchema, items: Sequence[Item]) -> "FeatureEncoder":
        """Learn vocabularies, inverse document frequencies, means and scales from items."""
        return cls([_fit(feature, items) for feature in schema.features])

    def encode(self, items: Iterable[Item]) -> SparseRows:
        """One row an item, in their order."""
        ends, indices, values = [0], list[int](), list[float]()
        for item in items:
            for column, value in self._cells(item):
                indices.append(column)
                values.append(value)
            ends.append(len(indices))
        return SparseRows(
            np.array(ends, np.int64),
            np.array(indices, np.int64),
            np.array(values, np.float32),
            self.n_columns,
        )

    def _cells(self, item: Item) -> list[tuple[int, float]]:
        cells, start = list[tuple[int, float]](), 0
        for fitted, columns in zip(self.fitted, self._columns, strict=True):
            cells += [(start + column, value) for column, value in _values(fitted, columns, item)]
            start += fitted.width
        return cells


def _fit(feature: Feature, items: Sequence[Item]) -> FittedFeature:
    if feature.kind == "numeric":
        numbers = [number for item in items if (number := _number(feature, item)) is not None]
        if not numbers:
            raise DataError(f"feature {feature.column!r} has no value in any item; leave it out")
        return FittedFeature(feature, (), np.empty(0), float(np.mean(numbers)), float(np.std(numbers)) or 1.0)
    frequencies = Counter(term for item in items for term in set(_terms(feature, item)))
    if not frequencies:
        raise DataError(f"feature {feature.column!r} has no value in any item; leave it out")
    terms = tuple(sorted(frequencies))
    weights = np.ones(len(terms))
    if feature.kind == "text":
        weights = np.array([math.log((1 + len(items)) / (1 + frequencies[term])) + 1 for term in terms])
    return FittedFeature(feature, terms, weights)


def _values(fitted: FittedFeature, columns: Mapping[str, int], item: Item) -> list[tuple[int, float]]:
    """Column within the feature and value, for what is known of the item."""
    if fitted.feature.kind == "numeric":
        number = _number(fitted.feature, item)
        return [] if number is None else [(0, (number - fitted.mean) / fitted.scale)]
    counts = Counter(columns[term] for term in _terms(fitted.feature, item) if term in columns)
    weighted = [(column, count * float(fitted.weights[column])) for column, count in sorted(counts.items())]
    length = math.sqrt(sum(value * value for _, value in weighted))
    return [(column, value / length) for column, value in weighted]


def _terms(feature: Feature, item: Item) -> list[str]:
    value = item.get(feature.column)
    if value is None or value == "":
        return []
    if feature.kind == "text":
        return WORD.findall(str(value).lower())
    if feature.kind == "categorical":
        return [str(value)]
    parts = value if isinstance(value, list | tuple) else str(value).split("|")
    return list(dict.fromkeys(str(part) for part in parts if str(part)))


def _number(feature: Feature, item: Item) -> float | None:
    value = item.get(feature.column)
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.inf
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise DataError(
            f"feature {feature.column!r}: {value!r} is not a finite number; correct it or leave it empty"
        )
    return number

"""From the values of items or users to sparse rows of numbers; fitted once, then applied alike in training and serving.

Terms are tags, words and categories; of a hashed text [HASH-1] the terms are the numbers of its words' buckets. A
missing value leaves its feature's columns zero, which for a number means the mean of what was fitted. A value that was
not there when fitting is unknown and counts as missing. A feature that is no number has length one, or zero.
"""

from __future__ import annotations

import math
import re
from array import array as buffer
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.conditions import seconds_since_1970
from cml.errors import ArtifactError, DataError
from cml.features.hashing import bucket_of
from cml.features.matrix import row_of, width_of
from cml.features.schema import HASHED, MATRIX, Feature, FeatureSchema
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

Item = Mapping[str, object]
WORD = re.compile(r"\b\w\w+\b")
MAX_TERMS = 50_000  # of a feature; the ones in the most items are kept
LONGEST_TEXT = 20_000  # characters of a text that count: what comes after rarely says what an item is about
FAR = 4.0  # standard deviations beyond which a number counts as this far: one typing error must not rule a place


@dataclass(frozen=True)
class SparseRows:
    """Rows in compressed form: row i holds values[indptr[i]:indptr[i + 1]] at columns indices[...]."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.float32]
    n_columns: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def empty(self) -> NDArray[np.bool_]:
        """(rows,) of which nothing is known."""
        return np.diff(self.indptr) == 0

    def dense(self) -> NDArray[np.float32]:
        """(rows, columns); for few rows only."""
        rows = np.zeros((len(self), self.n_columns), dtype=np.float32)
        rows[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.indices] = self.values
        return rows


@dataclass(frozen=True)
class FittedFeature:
    """A feature with what was learned of it: its terms and their weights, or a number's mean and scale."""

    feature: Feature
    terms: Vocabulary
    weights: NDArray[np.float64]  # (terms,), for a number (mean, scale), for a matrix a one a column
    buckets: int = 0  # of a hashed text: how many there are; terms are those that a text of training uses

    def __post_init__(self) -> None:
        expected = 2 if self.feature.kind == "numeric" else len(self.terms)
        if self.feature.kind == MATRIX:
            expected = max(self.weights.size, 1)
        if self.weights.shape != (expected,):
            raise ArtifactError(
                f"feature {self.feature.column!r} has weights of shape {self.weights.shape}, not ({expected},); "
                "train the version again"
            )

    @property
    def width(self) -> int:
        return 1 if self.feature.kind == "numeric" else len(self.weights)


class FeatureEncoder:
    """Encodes items by a schema and what was fitted on the items of training."""

    def __init__(self, fitted: Sequence[FittedFeature]) -> None:
        self.schema = FeatureSchema(tuple(each.feature for each in fitted))
        self.fitted = tuple(fitted)
        self.n_columns = sum(each.width for each in fitted)

    @classmethod
    def fit(
        cls, schema: FeatureSchema, items: Sequence[Item], *, max_terms: int = MAX_TERMS
    ) -> FeatureEncoder:
        """Learn vocabularies, inverse document frequencies, means and scales from items.

        max_terms: of each feature; beyond it those in the fewest items are left out, and hashed texts have as many
        buckets. Raises DataError for a
        feature without any value, for a number that is none and for a matrix row of another width.
        """
        return cls([_fit(feature, items, max_terms) for feature in schema.features])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> FeatureEncoder:
        """The encoder behind `arrays()`; memory-mapped arrays stay mapped."""
        grouped: dict[str, dict[str, NDArray]] = {}
        for key, array in arrays.items():
            feature, _, part = key.rpartition(":")
            grouped.setdefault(feature, {})[part] = array
        fitted = []
        for key in sorted(grouped, key=lambda key: int(key.partition(":")[0])):
            _, kind, column = key.split(":", 2)
            parts = grouped[key]
            weights, buckets = parts.pop("weights"), int(parts.pop("buckets", np.zeros(1))[0])
            declared = Feature(column, kind)  # type: ignore[arg-type]
            fitted.append(FittedFeature(declared, Vocabulary.from_arrays(parts), weights, buckets))
        return cls(fitted)

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store; the keys carry each feature's position, kind and column."""
        flat: dict[str, NDArray] = {}
        for position, each in enumerate(self.fitted):
            key = f"{position}:{each.feature.kind}:{each.feature.column}"
            flat[f"{key}:weights"] = each.weights
            if each.buckets:
                flat[f"{key}:buckets"] = np.array([each.buckets], np.int64)
            flat |= {f"{key}:{part}": array for part, array in each.terms.arrays().items()}
        return flat

    def encode(self, items: Iterable[Item]) -> SparseRows:
        """One row an item, in their order. Raises DataError as `fit` does."""
        ends, indices, values = [0], buffer("q"), buffer("f")  # not lists: a matrix may have 10^8 cells
        for item in items:
            start = 0
            for fitted in self.fitted:
                if fitted.feature.kind == MATRIX:
                    columns, cells = row_of(fitted.feature.column, item, fitted.width)
                    indices.frombytes((columns + start).tobytes())
                    values.frombytes(cells.tobytes())
                else:
                    for column, value in _values(fitted, item):
                        indices.append(start + column)
                        values.append(value)
                start += fitted.width
            ends.append(len(indices))
        return SparseRows(
            np.array(ends, np.int64),
            np.array(indices, np.int64),
            np.array(values, np.float32),
            self.n_columns,
        )


def _fit(feature: Feature, items: Sequence[Item], max_terms: int) -> FittedFeature:
    if feature.kind == "numeric":
        numbers = [number for item in items if (number := number_of(feature.column, item)) is not None]
        if not numbers:
            raise _without_values(feature)
        scale = float(np.std(numbers)) or 1.0
        return FittedFeature(feature, Vocabulary(()), np.array([np.mean(numbers), scale]))
    if feature.kind == MATRIX:
        width = next(filter(None, (width_of(feature.column, item) for item in items)), None)
        if width is None:
            raise _without_values(feature)
        return FittedFeature(feature, Vocabulary(()), np.ones(width))
    buckets = max_terms if feature.kind == HASHED else 0
    frequencies = Counter(term for item in items for term in _counts(feature, item, buckets))
    if not frequencies:
        raise _without_values(feature)
    most = sorted(frequencies, key=lambda term: (-frequencies[term], term))[:max_terms]
    terms = sorted(most)
    weights = np.array([math.log((1 + len(items)) / (1 + frequencies[term])) + 1 for term in terms])
    return FittedFeature(feature, Vocabulary(terms), weights, buckets)


def _without_values(feature: Feature) -> DataError:
    return DataError(
        f"feature {feature.column!r} has no value of kind {feature.kind} in any row that training knows; check that "
        "both files write the same ids, leave the feature out, or name another kind, such as "
        f"{feature.column}:categorical"
    )


def _values(fitted: FittedFeature, item: Item) -> list[tuple[int, float]]:
    """Column within the feature and value, for what is known of the item."""
    if fitted.feature.kind == "numeric":
        number = number_of(fitted.feature.column, item)
        mean, scale = fitted.weights
        return [] if number is None else [(0, min(max(float((number - mean) / scale), -FAR), FAR))]
    said = _counts(fitted.feature, item, fitted.buckets)
    counts = {fitted.terms.find(term): count for term, count in said.items() if count}
    counts.pop(UNKNOWN_ROW, None)
    weighted = [(column, count * float(fitted.weights[column])) for column, count in sorted(counts.items())]
    length = math.sqrt(sum(value * value for _, value in weighted))
    return [(column, value / length) for column, value in weighted]


def _counts(feature: Feature, item: Item, buckets: int) -> dict[str, int]:
    """How often each term stands in the item. In a bucket, words of opposite signs may cancel to 0 [HASH-1]."""
    terms = Counter(_terms(feature, item))
    if feature.kind != HASHED:
        return terms
    counts: dict[str, int] = {}
    for word, count in terms.items():
        bucket, sign = bucket_of(word, buckets)
        counts[str(bucket)] = counts.get(str(bucket), 0) + sign * count
    return counts


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _terms(feature: Feature, item: Item) -> list[str]:
    value = item.get(feature.column)
    if _is_missing(value):
        return []
    if feature.kind in ("text", HASHED):
        return WORD.findall(str(value)[:LONGEST_TEXT].lower())
    if feature.kind == "categorical":
        return ["|".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    parts = value if isinstance(value, list | tuple) else str(value).split("|")
    return list(dict.fromkeys(str(part) for part in parts if not _is_missing(part)))


def number_of(column: str, item: Item) -> float | None:
    """The item's number, a date in seconds since 1970; None where it is missing. Raises DataError for what is none."""
    value = item.get(column)
    if _is_missing(value):
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = _seconds(value)
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise DataError(
            f"feature {column!r}: {value!r} is neither a finite number nor a date; "
            "correct it or leave it empty"
        )
    return number


def _seconds(value: object) -> float:
    """A date as a number; infinity for what is none."""
    try:
        return seconds_since_1970(value)
    except (ValueError, TypeError, OverflowError):
        return math.inf

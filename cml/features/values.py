"""Values of an item's features as somebody gives them: which fit, and which a version knows something about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from cml.errors import DataError
from cml.features.encoding import FeatureEncoder, number_of
from cml.features.matrix import MatrixRow, row_of, width_of
from cml.features.schema import MATRIX, Feature

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "numeric": ((int, float, str, date), "a finite number or a date"),
    "categorical": ((str, int, float), "one text or number"),
    "multi": ((str, list, tuple), "a list of texts, or texts with | between"),
    "text": ((str,), "a text"),
    "hashed": ((str,), "a text"),
    "matrix": ((list, tuple, MatrixRow), "a list of finite numbers, one a column of the matrix"),
}


def misfit(feature: Feature, value: object) -> str | None:
    """Why this can be no value of such a feature, whatever was fitted; None when it can."""
    types, wanted = _TYPES[feature.kind]
    if isinstance(value, bool) or not isinstance(value, types) or not _readable(feature, value):
        return f"{_shown(value)} is not {wanted}"
    return None


def unfit(encoder: FeatureEncoder, name: str, value: object) -> str | None:
    """Why this cannot be a value of the feature; None when it can, also for what is no feature."""
    fitted = next((each for each in encoder.fitted if each.feature.column == name), None)
    if fitted is None or value is None:
        return None
    if reason := misfit(fitted.feature, value):
        return reason
    if fitted.feature.kind == MATRIX and (width := width_of(name, {name: value})) not in (None, fitted.width):
        return f"a row of {width} numbers, the matrix of training has {fitted.width} columns; make it in the same way"
    return None


def _readable(feature: Feature, value: object) -> bool:
    """Whether a value of the right type says what it should: a number, or numbers that are finite."""
    try:
        if feature.kind == "numeric":
            number_of(feature.column, {feature.column: value})
        if feature.kind == MATRIX:
            row_of(feature.column, {feature.column: value})
    except (DataError, OverflowError):
        return False
    return True


def fitting(encoder: FeatureEncoder, values: Mapping[str, object]) -> dict[str, object]:
    """The features among the values, without those that do not fit: they were said of another version."""
    columns = [feature.column for feature in encoder.schema.features]
    return {
        name: values[name]
        for name in columns
        if values.get(name) is not None and not unfit(encoder, name, values[name])
    }


def known_features(encoder: FeatureEncoder, item: Mapping[str, object]) -> tuple[str, ...]:
    """The features of which the item has a value that was there in training, in the schema's order."""
    columns = encoder.encode([item]).indices
    ends = np.cumsum([each.width for each in encoder.fitted])
    present = np.unique(np.searchsorted(ends, columns, side="right"))
    return tuple(encoder.fitted[at].feature.column for at in present)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"

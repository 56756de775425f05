"""What a condition on item metadata says: its parts, its values, and the moments that dates stand for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from cml.errors import QueryError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def conditions(condition: Any, *, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    """The condition in its long form; a bare value or list means `any` of them. Raises QueryError."""
    if not isinstance(condition, Mapping):
        return {"any": condition}
    unknown = [repr(name) for name in condition if name not in allowed]
    if unknown or not condition:
        raise QueryError(
            f"conditions are {', '.join(allowed)}, not {', '.join(unknown) or 'an empty object'}"
        )
    return condition


def listed(name: str, values: Any) -> list[Any]:
    """The values of an any, all or none condition; a value alone is a list of one. Raises QueryError."""
    if isinstance(values, str | int | float | date):
        return [values]
    if not isinstance(values, list | tuple | set | frozenset):
        raise QueryError(f"`{name}` takes a value or a list of values, not {values!r}")
    return list(values)


def seconds_since_1970(value: Any) -> float:
    """Seconds (UTC) of a number of seconds, a date, a datetime or an ISO 8601 text; without a zone it is UTC.

    Raises ValueError or TypeError for anything else.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(value, datetime):
        return (value.replace(tzinfo=value.tzinfo or UTC) - EPOCH).total_seconds()
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - EPOCH).total_seconds()
    return float(value)


def is_day(value: Any) -> bool:
    """Whether a value names a day without a time."""
    if isinstance(value, str):
        return len(value) <= len("2000-12-31")
    return isinstance(value, date) and not isinstance(value, datetime)

"""What the library answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Because(NamedTuple):
    """One of the user's own items and its distance from the recommended one."""

    item_id: str
    distance: float
    record: dict[str, Any]


class Recommended(NamedTuple):
    """One item of a list. `row` is for callers that keep something per item; it never leaves the process."""

    item_id: str
    row: int
    distance: float | None  # plain Euclidean, from the point asked about; None in lists that are not personal
    score: float | None  # larger is better; only in lists that are not by distance
    record: dict[str, Any]
    because: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A list with what it takes to understand it: version, strategy, length asked for, skipped ids."""

    version: str
    strategy: str
    k: int
    offset: int
    items: list[Recommended]
    skipped: tuple[str, ...] = ()  # ids in the request that the version does not know


class Neighbour(NamedTuple):
    """A user near a point, and the plain distance."""

    user_id: str
    row: int
    distance: float

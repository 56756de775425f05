"""What the library answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True, eq=False)
class Recommendations:
    """A list with what it takes to understand it: version, strategy, length asked for, skipped ids.

    `rows` and `values` say which items and how near (or how good) they are; `items`, the same with ids and
    metadata, is made when it is first asked for.
    """

    version: str
    strategy: str
    k: int
    offset: int
    rows: NDArray[np.integer]  # (n,) for callers that keep something per item; they never leave the process
    values: NDArray[np.floating]  # (n,) plain distances, or scores where `by_distance` is false
    by_distance: bool
    describe: Callable[[], list[Recommended]]
    skipped: tuple[str, ...] = ()  # ids in the request that the version does not know

    @cached_property
    def items(self) -> list[Recommended]:
        """The listed items, described."""
        return self.describe()


class Neighbour(NamedTuple):
    """A user near a point, and the plain distance."""

    user_id: str
    row: int
    distance: float

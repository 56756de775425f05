"""What a caller may ask of a list, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypedDict

from cml.errors import QueryError


class ListOptions(TypedDict, total=False):
    """Keyword arguments of every list; `Query` says what they mean."""

    k: int
    offset: int
    exclude_seen: bool
    exclude: Sequence[str]
    allow: Sequence[str] | None
    where: Mapping[str, Any] | None
    available_at: Any
    max_distance: float | None
    diversity: float
    because: int


@dataclass(frozen=True, slots=True)
class Query:
    """The length of a list and the items that may be in it. Raises QueryError for what makes no sense."""

    k: int = 20
    offset: int = 0  # items of the same listing to skip: pages never repeat one
    exclude_seen: bool = True
    exclude: Sequence[str] = ()  # item ids that must not appear
    allow: Sequence[str] | None = None  # the only item ids that may appear; None: all
    where: Mapping[str, Any] | None = None  # conditions on metadata, see Catalogue.matching
    available_at: Any = None  # a moment: only items available then; None: whenever
    max_distance: float | None = None  # plain distance beyond which nothing is relevant
    diversity: float = 0.0  # 0: nearest first; towards 1: as different from each other as possible
    because: int = 0  # own items named as reasons for each recommended one

    def __post_init__(self) -> None:
        if self.k < 1:
            raise QueryError(f"k = {self.k}: a list has at least one item")
        if self.offset < 0:
            raise QueryError(f"offset = {self.offset}: cannot be negative")
        if self.because < 0:
            raise QueryError(f"because = {self.because}: cannot be negative")
        if not 0 <= self.diversity < 1:
            raise QueryError(f"diversity = {self.diversity}: must be at least 0 and less than 1")
        if self.max_distance is not None and not (isfinite(self.max_distance) and self.max_distance >= 0):
            raise QueryError(f"max_distance = {self.max_distance}: must be a distance, 0 or greater")

    @property
    def end(self) -> int:
        """How many items of the listing are needed to cut this page out of it."""
        return self.offset + self.k

    @property
    def restricted(self) -> bool:
        """Whether anything but the user's history decides which items may appear."""
        return bool(self.exclude) or not (
            self.allow is None and self.where is None and self.available_at is None
        )

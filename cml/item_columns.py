"""The kinds of columns that item metadata comes in: text, tags, numbers and dates.

Each kind knows how it is stored (flat arrays that can be memory-mapped), what it shows for one item, and
which items a condition selects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cml.conditions import EPOCH, conditions, is_day, listed, seconds_since_1970
from cml.errors import DataError, QueryError
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

_DAY_SECONDS = 86400.0
_LARGEST_INTEGER = 2**53  # up to which a float is exact; larger ones would not fit into JSON's usual 64 bits


class Column(Protocol):
    """One piece of metadata for every item."""

    kind: ClassVar[str]

    @classmethod
    def build(cls, values: Sequence[Any]) -> Self:
        """A column from one value an item; None and NaN are missing. Raises DataError, ValueError."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        """The column behind `arrays()`, without copying."""
        ...

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store."""
        ...

    def value(self, row: int) -> Any:
        """What to show for the item, fit for JSON; None where missing."""
        ...

    def matching(self, condition: Any) -> NDArray[np.bool_]:
        """Mask of the items that the condition selects. Raises QueryError."""
        ...


class TextColumn:
    """One text an item, for display. An empty text counts as missing."""

    kind: ClassVar[str] = "text"

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self._arrays = dict(arrays)
        self._blob, self._offsets = arrays["bytes"].data, arrays["offsets"].data

    @classmethod
    def build(cls, values: Sequence[Any]) -> Self:
        # Lone surrogates cannot be stored as UTF-8; a metadata text with one is shown with a question mark.
        texts = [b"" if is_missing(value) else str(value).encode("utf-8", "replace") for value in values]
        return cls(
            {
                "bytes": np.frombuffer(b"".join(texts), dtype=np.uint8),
                "offsets": _offsets(map(len, texts), len(texts)),
            }
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        return cls(arrays)

    def arrays(self) -> dict[str, NDArray]:
        return dict(self._arrays)

    def value(self, row: int) -> str | None:
        return bytes(self._blob[self._offsets[row] : self._offsets[row + 1]]).decode("utf-8") or None

    def matching(self, condition: Any) -> NDArray[np.bool_]:
        raise QueryError("it holds free text, which cannot be filtered on; give the column the kind `tags`")


class TagColumn:
    """Any number of tags an item, such as genres. Stored both ways: tags of an item, items of a tag."""

    kind: ClassVar[str] = "tags"

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self._arrays = dict(arrays)
        self._indptr, self._tags = arrays["indptr"], arrays["tags"]
        self._tag_indptr, self._tag_rows = arrays["tag_indptr"], arrays["tag_rows"]
        self._names = Vocabulary.from_arrays(
            {
                name.removeprefix("names_"): array
                for name, array in arrays.items()
                if name.startswith("names_")
            }
        )

    @classmethod
    def build(cls, values: Sequence[Any]) -> Self:
        tags = [_tags(value) for value in values]
        names = sorted({tag for item in tags for tag in item})
        row_of = {name: row for row, name in enumerate(names)}
        indptr = _offsets(map(len, tags), len(tags))
        flat = np.fromiter(
            (row_of[tag] for item in tags for tag in item), dtype=np.int32, count=int(indptr[-1])
        )
        rows = np.repeat(np.arange(len(tags), dtype=np.int32), np.diff(indptr))
        arrays: dict[str, NDArray] = {
            "indptr": indptr,
            "tags": flat,
            "tag_indptr": _offsets(np.bincount(flat, minlength=len(names)), len(names)),
            "tag_rows": rows[np.argsort(flat, kind="stable")],
        }
        return cls(arrays | {f"names_{name}": array for name, array in Vocabulary(names).arrays().items()})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        return cls(arrays)

    def arrays(self) -> dict[str, NDArray]:
        return dict(self._arrays)

    def value(self, row: int) -> list[str] | None:
        tags = self._tags[self._indptr[row] : self._indptr[row + 1]].tolist()
        return [self._names[tag] for tag in tags] or None

    def matching(self, condition: Any) -> NDArray[np.bool_]:
        mask = np.ones(len(self._indptr) - 1, dtype=bool)
        for name, tags in conditions(condition, allowed=("any", "all", "none")).items():
            wanted = {_tag(tag) for tag in listed(name, tags)}
            if name == "all":
                for tag in wanted:
                    mask &= self._having((tag,))
            else:
                hit = self._having(wanted)
                mask &= hit if name == "any" else ~hit
        return mask

    def _having(self, tags: Iterable[str]) -> NDArray[np.bool_]:
        """Mask of the items that have one of these tags; none has an unknown one."""
        mask = np.zeros(len(self._indptr) - 1, dtype=bool)
        for tag in tags:
            row = self._names.find(tag)
            if row != UNKNOWN_ROW:
                mask[self._tag_rows[self._tag_indptr[row] : self._tag_indptr[row + 1]]] = True
        return mask


class NumberColumn:
    """One number an item, NaN where missing. A missing number matches only conditions that exclude."""

    kind: ClassVar[str] = "number"

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    @classmethod
    def build(cls, values: Sequence[Any]) -> Self:
        numbers = [np.nan if is_missing(value) else cls._parse(value) for value in values]
        return cls(np.array(numbers, dtype=np.float64))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        return cls(arrays["values"])

    def arrays(self) -> dict[str, NDArray]:
        return {"values": self.values}

    def value(self, row: int) -> Any:
        number = float(self.values[row])
        if not np.isfinite(number):
            return None
        return int(number) if number.is_integer() and abs(number) <= _LARGEST_INTEGER else number

    def matching(self, condition: Any) -> NDArray[np.bool_]:
        mask = np.ones(len(self.values), dtype=bool)
        for name, value in conditions(condition, allowed=("min", "max", "any", "none")).items():
            if name == "min":
                mask &= self.values >= self._range(value)[0]
            elif name == "max":
                mask &= self.values <= self._range(value)[1]
            else:
                hit = self._one_of(listed(name, value))
                mask &= hit if name == "any" else ~hit
        return mask

    def _one_of(self, wanted: list[Any]) -> NDArray[np.bool_]:
        """Mask of the items in one of the ranges; sorted, the farthest end so far says whether a number is in one."""
        ranges = sorted(self._range(value) for value in wanted)
        if len(ranges) == 1:
            return (self.values >= ranges[0][0]) & (self.values <= ranges[0][1])
        firsts, lasts = np.array([(-np.inf, -np.inf), *ranges]).T
        begun = firsts.searchsorted(self.values, side="right") - 1
        return (self.values <= np.maximum.accumulate(lasts)[begun]) & (begun > 0)

    @classmethod
    def _range(cls, value: Any) -> tuple[float, float]:
        """The first and last stored number that the value of a condition stands for."""
        try:
            number = cls._parse(value)
        except (TypeError, ValueError, OverflowError):
            number = np.nan
        if np.isnan(number):
            raise QueryError(f"{value!r} is not a {cls.kind}")
        return number, number

    @classmethod
    def _parse(cls, value: Any) -> float:
        return float(value)


class DateColumn(NumberColumn):
    """One moment an item as seconds since 1970 (UTC), NaN where missing.

    In a condition, a day without a time is the whole day: as an upper bound it includes its last second.
    """

    kind: ClassVar[str] = "date"

    def value(self, row: int) -> Any:
        seconds = float(self.values[row])
        if not np.isfinite(seconds):
            return None
        moment = EPOCH + timedelta(seconds=seconds)
        if seconds % _DAY_SECONDS == 0:
            return moment.date().isoformat()
        return moment.isoformat().replace("+00:00", "Z")

    @classmethod
    def _range(cls, value: Any) -> tuple[float, float]:
        first, last = super()._range(value)
        return first, float(np.nextafter(last + _DAY_SECONDS, last)) if is_day(value) else last

    @classmethod
    def _parse(cls, value: Any) -> float:
        seconds = seconds_since_1970(value)
        EPOCH + timedelta(seconds=seconds)  # raises for what no calendar shows
        return seconds


KINDS: dict[str, type[TextColumn] | type[TagColumn] | type[NumberColumn]] = {
    column.kind: column for column in (TextColumn, TagColumn, NumberColumn, DateColumn)
}


def infer_kind(values: Sequence[Any]) -> str:
    """The kind that the first value present suggests: lists are tags, dates and numbers what they are."""
    first = next((value for value in values if not is_missing(value)), None)
    if isinstance(first, list | tuple | set | frozenset):
        return TagColumn.kind
    if isinstance(first, date | np.datetime64):
        return DateColumn.kind
    if isinstance(first, int | float | np.integer | np.floating):
        return NumberColumn.kind
    return TextColumn.kind


def is_missing(value: Any) -> bool:
    """None, NaN and NaT are missing values."""
    return value is None or (isinstance(value, float | np.floating | np.datetime64 | date) and value != value)


def _tag(value: Any) -> str:
    """A condition's value as a tag. Raises QueryError for what can be none."""
    if not isinstance(value, str | int | float | date):
        raise QueryError(f"{value!r} is not a tag; give texts")
    return str(value)


def _tags(value: Any) -> list[str]:
    if is_missing(value):
        return []
    if isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, Iterable):
        raise DataError(f"{value!r} is neither a tag nor a list of tags")
    return list(dict.fromkeys(str(tag) for tag in value))


def _offsets(lengths: Iterable[int], count: int) -> NDArray[np.int64]:
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.fromiter(lengths, dtype=np.int64, count=count), out=offsets[1:])
    return offsets

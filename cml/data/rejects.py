"""Rows that cannot be used: counted by reason, the first of each kept with its place in the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

SHOWN_PER_REASON = 3
VALUE_SHOWN = 60  # characters of a value that are worth printing


@dataclass(frozen=True)
class Reason:
    """Why a row cannot be used, and what its owner can do about it."""

    name: str
    remedy: str


@dataclass(frozen=True)
class Reject:
    """One row that cannot be used. `line` counts from 1 (in Parquet: the row)."""

    path: Path
    line: int
    value: str
    reason: Reason

    def __str__(self) -> str:
        value = self.value if len(self.value) <= VALUE_SHOWN else self.value[: VALUE_SHOWN - 1] + "…"
        return f"{self.path}:{self.line}: {value!r}, {self.reason.name}; {self.reason.remedy}"


@dataclass
class Rejects:
    """Counts of rejected rows by reason, and the first few of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return self.counts.total()

    def wants(self, reason: Reason) -> int:
        """How many more rows of this reason are worth locating."""
        return max(0, SHOWN_PER_REASON - sum(reject.reason == reason for reject in self.first))

    def add(self, reject: Reject) -> None:
        """Count one row, and keep it if it is among the first of its reason."""
        self.add_counted(reject.reason, 1, [reject])

    def add_counted(self, reason: Reason, count: int, located: list[Reject]) -> None:
        """Count rows of one reason, of which only some were located."""
        self.first.extend(located[: self.wants(reason)])
        self.counts[reason.name] += count

    def by_line(self) -> list[Reject]:
        """The kept rows by file, in the order of reading, and line."""
        files = list(dict.fromkeys(reject.path for reject in self.first))
        return sorted(self.first, key=lambda reject: (files.index(reject.path), reject.line))

    def lines(self) -> list[str]:
        """What to print: the kept rows, then one line for each reason that has more."""
        kept = Counter(reject.reason.name for reject in self.first)
        more = [f"and {n - kept[name]:,} more: {name}" for name, n in self.counts.items() if n > kept[name]]
        return [str(reject) for reject in self.by_line()] + more

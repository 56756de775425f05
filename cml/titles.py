"""Finding items by words of their title, over one folded text that can be memory-mapped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

_WORDS = re.compile(r"\w+")
_MAX_SCANS = 8  # words of a query that are looked for; all of them are compared
_MAX_CANDIDATES = 2_000  # titles looked at for one query: bounds the time that a query like "e" may take


class TitleSearch:
    """Titles folded to plain lower-case words, one a line, searched by scanning.

    A scan needs no index structure and answers in milliseconds for a hundred thousand titles.
    """

    def __init__(self, text: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self._text, self._starts = text, starts
        self._buffer = text.data

    @classmethod
    def build(cls, titles: Sequence[str | None]) -> TitleSearch:
        """From one title an item, None where there is none."""
        # The line break marks a title's beginning; the spaces make a whole word findable as " word ".
        lines = [f"\n {fold(title or '')} ".encode() for title in titles]
        starts = np.zeros(len(lines) + 1, dtype=np.int64)
        np.cumsum([len(line) for line in lines], out=starts[1:])
        return cls(np.frombuffer(b"".join(lines), dtype=np.uint8), starts)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> TitleSearch:
        """The search behind `arrays()`, without copying."""
        return cls(arrays["text"], arrays["starts"])

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store."""
        return {"text": self._text, "starts": self._starts}

    def search(self, query: str, limit: int) -> list[int]:
        """Rows of titles that hold every word of the query, best first; see `_rank` for what is better."""
        ranks = self.ranks(query)
        return sorted(ranks, key=lambda row: (ranks[row], row))[: max(limit, 0)]

    def ranks(self, query: str) -> dict[int, tuple[int, int]]:
        """How well the titles that hold every word of the query match, by row; smaller is better."""
        folded = fold(query)
        ranks = ((row, _rank(self._line(row), folded)) for row in self._candidates(folded)) if folded else ()
        return {row: rank for row, rank in ranks if rank is not None}

    def _candidates(self, folded: str) -> dict[int, None]:
        """Rows whose title begins with the query, then those that hold it, then those with its rarest word."""
        rows = dict.fromkeys(self._scan(f"\n {folded}"))
        rows |= dict.fromkeys(self._scan(f" {folded} "))
        words = sorted(set(folded.split()), key=len)[-_MAX_SCANS:]
        rarest = min((self._scan(word) for word in words), key=lambda found: len(found))
        return rows | dict.fromkeys(rarest)

    def _scan(self, needle: str) -> list[int]:
        """Rows that hold the text, the first `_MAX_CANDIDATES` of them."""
        matches = re.finditer(re.escape(needle.encode()), self._buffer)
        starts = [match.start() for match in islice(matches, _MAX_CANDIDATES)]
        return (np.searchsorted(self._starts, starts, side="right") - 1).tolist()

    def _line(self, row: int) -> str:
        return bytes(self._buffer[self._starts[row] : self._starts[row + 1]]).decode("utf-8").strip()


def fold(text: str) -> str:
    """Lower-case words without accents or punctuation, single spaces between: what comparison works on."""
    if not text.isascii():  # otherwise there is nothing to take off
        text = "".join(
            char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)
        )
    return " ".join(_WORDS.findall(text.casefold()))


def _rank(line: str, folded: str) -> tuple[int, int] | None:
    """Sort key of a title for a query (smaller is better), None when a word is missing."""
    words = folded.split()
    if not all(word in line for word in words):
        return None
    if line == folded:
        tier = 0
    elif line.startswith(folded):
        tier = 1
    elif all(f" {word} " in f" {line} " for word in words):
        tier = 2
    else:
        tier = 3
    return tier, len(line)

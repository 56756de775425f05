"""Some of n rows, held small: most filters keep few of many items, and their results are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Where fewer than one in so many is chosen, rows take at most twice the memory of bits, and are ready to use.
_SPARSE = 16
_BYTE = 8


class Chosen:
    """A set of rows among n: as ascending rows where they are few, else as bits. Never changes."""

    __slots__ = ("_bits", "_rows", "n")

    def __init__(
        self, n: int, rows: NDArray[np.int32] | None = None, bits: NDArray[np.uint8] | None = None
    ) -> None:
        self.n = n
        self._rows = rows
        self._bits = bits

    @classmethod
    def of_rows(cls, rows: NDArray[np.integer], n: int) -> Chosen:
        """These rows, ascending and distinct."""
        if len(rows) * _SPARSE <= n:
            return cls(n, rows=rows.astype(np.int32))
        mask = np.zeros(n, dtype=bool)
        mask[rows] = True
        return cls(n, bits=np.packbits(mask, bitorder="little"))

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_]) -> Chosen:
        """The rows where the mask (n,) is true."""
        if np.count_nonzero(mask) * _SPARSE <= len(mask):
            return cls(len(mask), rows=np.flatnonzero(mask).astype(np.int32))
        return cls(len(mask), bits=np.packbits(mask, bitorder="little"))

    def rows(self) -> NDArray[np.int64]:
        """The rows, ascending."""
        return np.flatnonzero(self.mask()) if self._rows is None else self._rows.astype(np.int64)

    def mask(self) -> NDArray[np.bool_]:
        """(n,): which rows they are."""
        if self._bits is not None:
            return np.unpackbits(self._bits, count=self.n, bitorder="little").view(bool)
        mask = np.zeros(self.n, dtype=bool)
        mask[self._rows] = True
        return mask

    def has(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of these rows, of 0 to n - 1, are among them."""
        if self._bits is not None:
            return (self._bits[rows // _BYTE] >> (rows % _BYTE).astype(np.uint8) & 1).astype(bool)
        assert self._rows is not None
        return found(rows, self._rows)

    def followed_by(self, mask: NDArray[np.bool_]) -> Chosen:
        """These, and of len(mask) further rows those where the mask is true."""
        if self._bits is not None:
            return Chosen.of_mask(np.concatenate([self.mask(), mask]))
        assert self._rows is not None
        return Chosen.of_rows(np.concatenate([self._rows, self.n + np.flatnonzero(mask)]), self.n + len(mask))

    def __and__(self, other: Chosen) -> Chosen:
        """The rows in both."""
        for one, more in ((self, other), (other, self)):
            if one._rows is not None:
                return Chosen(self.n, rows=one._rows[more.has(one._rows)])
        assert self._bits is not None
        return Chosen.of_mask(self.mask() & other.mask())


def found(rows: NDArray[np.integer], among: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of these rows are among others that are ascending."""
    if not len(among):
        return np.zeros(len(rows), dtype=bool)
    at = np.minimum(among.searchsorted(rows), len(among) - 1)
    return among[at] == rows

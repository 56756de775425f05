"""Ids and rows: the outside world's strings on one side, our integers from 0 on the other.

A vocabulary is four flat arrays, so that a published one with millions of ids is memory-mapped and shared
between processes instead of being rebuilt as a dictionary in each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from cml.errors import VocabularyError

UNKNOWN_ROW = -1


class Vocabulary(Sequence[str]):
    """Distinct ids in row order. Ids are kept exactly: `007` is not `7`, and no normalisation happens.

    `vocabulary[row]` is an id; `row(id)` and `rows(ids)` go the other way.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        encoded = [_encode(value) for value in ids]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(value) for value in encoded], out=offsets[1:])
        hashes = np.fromiter((_hash(value) for value in encoded), dtype=np.uint64, count=len(encoded))
        order = np.argsort(hashes, kind="stable")
        self._hold(
            {
                "bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
                "offsets": offsets,
                "hashes": hashes[order],
                "hash_rows": order.astype(np.int64),
            }
        )
        self._refuse_repeats()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Vocabulary:
        """The vocabulary behind `arrays()`; nothing is copied, so memory-mapped arrays stay mapped."""
        vocabulary = cls.__new__(cls)
        vocabulary._hold(arrays)
        return vocabulary

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store: `bytes` (UTF-8, concatenated), `offsets` (n + 1), `hashes` (sorted), `hash_rows`."""
        return dict(self._arrays)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        row = int(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a vocabulary of {len(self)} ids")
        return self._bytes_at(row % len(self)).decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        return (self._bytes_at(row).decode("utf-8") for row in range(len(self)))

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.find(value) != UNKNOWN_ROW

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return np.array_equal(self._arrays["offsets"], other._arrays["offsets"]) and np.array_equal(
            self._arrays["bytes"], other._arrays["bytes"]
        )

    __hash__ = None  # type: ignore[assignment]

    def find(self, value: str) -> int:
        """Row of the id, or `UNKNOWN_ROW`."""
        try:
            encoded = value.encode("utf-8")
        except UnicodeEncodeError:  # a lone surrogate can never be an id
            return UNKNOWN_ROW
        wanted = _hash(encoded)
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            row = self._hash_rows[at]
            if self._bytes_at(row) == encoded:
                return int(row)
            at += 1
        return UNKNOWN_ROW

    def row(self, value: str) -> int:
        """Row of the id; raises VocabularyError when it is unknown."""
        row = self.find(value)
        if row == UNKNOWN_ROW:
            raise VocabularyError(f"id {value!r} is not among the {len(self)} known ones")
        return row

    def rows(self, values: Iterable[str]) -> NDArray[np.int64]:
        """Rows of many ids, `UNKNOWN_ROW` where one is unknown, in the order given."""
        return np.fromiter((self.find(value) for value in values), dtype=np.int64)

    def with_hash(self, wanted: int) -> list[str]:
        """The ids whose `id_hash` this is: almost always one or none, found without a scan."""
        found = []
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            found.append(self[self._hash_rows[at]])
            at += 1
        return found

    def _hold(self, arrays: Mapping[str, NDArray]) -> None:
        self._arrays = dict(arrays)
        # Memory views index several times faster than arrays, one element at a time.
        self._buffer = _view(arrays["bytes"])
        self._offsets = _view(arrays["offsets"])
        self._hashes = _view(arrays["hashes"])
        self._hash_rows = _view(arrays["hash_rows"])

    def _bytes_at(self, row: int) -> bytes:
        return bytes(self._buffer[self._offsets[row] : self._offsets[row + 1]])

    def _refuse_repeats(self) -> None:
        hashes = self._arrays["hashes"]
        for at in np.flatnonzero(hashes[1:] == hashes[:-1]):
            value = self[self._hash_rows[at]]
            if value == self[self._hash_rows[at + 1]]:
                raise VocabularyError(f"id {value!r} stands twice in a vocabulary; ids must be distinct")


def id_hash(value: str) -> int:
    """The 64-bit hash by which vocabularies find an id, the same in every process and version."""
    return _hash(value.encode("utf-8", "surrogatepass"))


def _view(array: NDArray) -> memoryview:
    return np.ascontiguousarray(array).data


def _encode(value: str) -> bytes:
    if not isinstance(value, str):
        raise VocabularyError(f"id {value!r} is a {type(value).__name__}; ids are strings")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise VocabularyError(
            f"id {value!r} is not valid Unicode text; fix the encoding of the source"
        ) from None


def _hash(encoded: bytes) -> int:
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "little")

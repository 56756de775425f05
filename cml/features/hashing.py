"""Words as numbered columns without a vocabulary: the hashing trick [HASH-1], by MurmurHash3 as scikit-learn has it.

Pure Python, since the service has no scikit-learn, and the same function in training, so that both agree to the bit.
"""

from __future__ import annotations

from functools import lru_cache

_MASK = 0xFFFFFFFF
_SIGN = 0x80000000
_REMEMBERED = 65_536  # words: most of a text are among a language's few most frequent


def murmur3(data: bytes) -> int:
    """MurmurHash3 of 32 bits with seed 0, as a signed integer."""
    whole = len(data) & ~3
    mixed = 0
    for at in range(0, whole, 4):
        mixed ^= _scrambled(int.from_bytes(data[at : at + 4], "little"))
        mixed = (_rotated(mixed, 13) * 5 + 0xE6546B64) & _MASK
    mixed ^= _scrambled(int.from_bytes(data[whole:], "little")) ^ len(data)
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _MASK
    mixed ^= mixed >> 16
    return mixed - ((mixed & _SIGN) << 1)


@lru_cache(maxsize=_REMEMBERED)
def bucket_of(word: str, n_buckets: int) -> tuple[int, int]:
    """(bucket, sign) of a word: which of `n_buckets` columns it counts in, and whether as 1 or as -1.

    The sign makes words that share a column cancel on average instead of adding up.
    """
    value = murmur3(word.encode("utf-8", "surrogatepass"))
    return abs(value) % n_buckets, 1 if value >= 0 else -1


def _scrambled(block: int) -> int:
    return _rotated(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK

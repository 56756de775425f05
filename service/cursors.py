"""Cursors: where a listing stands and what it was made of, so that its pages never repeat an item.

A cursor pins the version, how many of the user's events and of the added items count, the moment at which items have
to be available, and the options. The items on earlier pages are then exactly the first `offset` of the same ranking.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from service.asked import ListOptions
from service.errors import Problem, invalid

_UNPAGED = {"k", "cursor"}
_PLAIN = "plain"  # the fingerprint of no options at all, the most frequent one


class Cursor(NamedTuple):
    """The beginning of the next page of a listing."""

    version: str
    offset: int
    through: int  # the last event that counts
    added: int  # the last added item that counts, by the time when it came
    moment: int  # milliseconds since 1970 at which items are available; 0 where it does not matter
    listing: str  # fingerprint of the options

    def __str__(self) -> str:
        return f"{self.version}.{self.offset}.{self.through}.{self.added}.{self.moment}.{self.listing}"


def fingerprint(options: ListOptions) -> str:
    """Equal for options that make the same listing, whatever the page."""
    if not options.model_fields_set - _UNPAGED:
        return _PLAIN
    return blake2b(options.model_dump_json(exclude=_UNPAGED).encode(), digest_size=6).hexdigest()


def parse(text: str, listing: str) -> Cursor:
    """The cursor in a request whose options have this fingerprint. Raises Problem 422."""
    parts = text.split(".")
    if len(parts) != 6 or not all(part.isdecimal() and len(part) < 20 for part in parts[1:5]):
        raise invalid("cursor: not one that this service gave; take `next` of the page before as it is")
    if parts[5] != listing:
        raise invalid(
            "cursor: the options differ from those of the page before; repeat them, only k may change"
        )
    offset, through, added, moment = (int(part) for part in parts[1:5])
    return Cursor(parts[0], offset, through, added, moment, listing)


def expired(version: str) -> Problem:
    """410 for a listing whose version has left memory."""
    detail = f"version {version} of this listing no longer answers; start again without a cursor"
    return Problem(410, "listing-expired", "Listing expired", detail)

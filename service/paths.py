"""Ids in paths. An id may hold anything, slashes too: clients percent-encode it as one path segment.

Servers decode a path before routing, and `/v1/items/a%2Fsimilar` (the item `a/similar`) could no longer be
told from `/v1/items/a/similar` (what is similar to `a`). So we decode the raw path ourselves and keep
encoded slashes apart until the id is read. An id with plain slashes works too, where that is unambiguous.
Line feeds are kept apart, too: in the router's patterns `.` does not match one, and `$` matches before the last one,
so that `/v1/events%0A` would reach the route of `/v1/events` as another path than the one that was authorised.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from service.errors import Problem

_NUL = "\0"  # no id has one, so it can mark what is kept apart
_KEPT = {"/": _NUL + "s", "\n": _NUL + "n"}


class IdConvertor(Convertor[str]):
    """`{item_id:id}` in a route: one or more characters, what was kept apart restored."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return read_id(value)

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    """Make `:id` known to the router; safe to call again."""
    register_url_convertor("id", IdConvertor())


def decode(raw_path: bytes) -> str:
    """The path for routing, with encoded slashes and line feeds kept apart.

    Raises Problem 400 for a path that is not UTF-8 or holds a NUL.
    """
    try:
        if b"%" not in raw_path:
            return raw_path.decode("ascii")
        segments = [unquote_to_bytes(segment).decode("utf-8") for segment in raw_path.split(b"/")]
    except UnicodeDecodeError:
        raise _bad("the path is not UTF-8; percent-encode the id's UTF-8 bytes") from None
    if any(_NUL in segment for segment in segments):
        raise _bad("the path holds a NUL character, which no id may have")
    return "/".join(map(_kept_apart, segments))


def read_id(segment: str) -> str:
    """The id behind a path segment that `decode` made."""
    if _NUL in segment:
        for character, kept in _KEPT.items():
            segment = segment.replace(kept, character)
    return segment


def _kept_apart(segment: str) -> str:
    for character, kept in _KEPT.items():
        segment = segment.replace(character, kept)
    return segment


def _bad(detail: str) -> Problem:
    return Problem(400, "invalid-path", "Invalid path", detail)

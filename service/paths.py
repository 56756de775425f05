"""Ids in paths. An id may hold anything, slashes too: clients percent-encode it as one path segment.

Servers decode a path before routing, and `/v1/items/a%2Fsimilar` (the item `a/similar`) could no longer be
told from `/v1/items/a/similar` (what is similar to `a`). So we decode the raw path ourselves and keep
encoded slashes apart until the id is read. An id with plain slashes works too, where that is unambiguous.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from service.errors import Problem

_KEPT_SLASH = "\0"


class IdConvertor(Convertor[str]):
    """`{item_id:id}` in a route: one or more characters, encoded slashes restored."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return read_id(value)

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    """Make `:id` known to the router; safe to call again."""
    register_url_convertor("id", IdConvertor())


def decode(raw_path: bytes) -> str:
    """The path for routing, with encoded slashes kept apart.

    Raises Problem 400 for a path that is not UTF-8 or holds a NUL.
    """
    try:
        if b"%" not in raw_path:
            return raw_path.decode("ascii")
        segments = [unquote_to_bytes(segment).decode("utf-8") for segment in raw_path.split(b"/")]
    except UnicodeDecodeError:
        raise _bad("the path is not UTF-8; percent-encode the id's UTF-8 bytes") from None
    if any(_KEPT_SLASH in segment for segment in segments):
        raise _bad("the path holds a NUL character, which no id may have")
    return "/".join(segment.replace("/", _KEPT_SLASH) for segment in segments)


def read_id(segment: str) -> str:
    """The id behind a path segment that `decode` made."""
    return segment.replace(_KEPT_SLASH, "/")


def _bad(detail: str) -> Problem:
    return Problem(400, "invalid-path", "Invalid path", detail)

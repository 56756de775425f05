"""Lists as JSON bytes. Each item's constant part is encoded once and kept: a list is then mostly joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from cml.answers import Because, Neighbour, Recommendations, Recommended
from cml.artifact import Artifact
from cml.snapshot import Snapshot

_MOST_FRAGMENTS = 200_000  # items kept encoded per version; beyond it all are forgotten and encoded again


class ListEncoder:
    """Encodes lists; the fields and their meaning are those of `service.schemas.ItemList`."""

    def __init__(self) -> None:
        self._fragments: WeakKeyDictionary[Artifact, dict[int, bytes]] = WeakKeyDictionary()

    def encode(self, snapshot: Snapshot, answer: Recommendations, head: bytes, tail: bytes) -> bytes:
        """`head` + the items + `tail`: what `opening` and `closing` make."""
        fragments = self._fragments.get(snapshot.artifact)
        if fragments is None:
            fragments = self._fragments[snapshot.artifact] = {}
        parts = [head]
        for item in answer.items:
            fragment = fragments.get(item.row)
            if fragment is None:
                fragment = _remember(fragments, item)
            parts.append(fragment)
            if item.distance is not None:
                parts.append(b'%.6g,"score":null' % item.distance)
            else:
                parts.append(b'null,"score":%.9g' % (item.score or 0.0))
            if item.because:
                parts.append(b',"because":' + _reasons(item.because))
            parts.append(b"},")
        if answer.items:
            parts[-1] = b"}"
        parts.append(tail)
        return b"".join(parts)


def opening(
    version: str, strategy: str, variant: str | None, recommendation_id: str, k: int, user_id: str | None
) -> bytes:
    """The list's JSON up to its first item."""
    values: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
    values |= {
        "model_version": version,
        "strategy": strategy,
        "variant": variant,
        "recommendation_id": recommendation_id,
        "k": k,
    }
    return orjson.dumps(values)[:-1] + b',"items":['


def closing(skipped: Sequence[str], next_cursor: str | None) -> bytes:
    """The list's JSON after its last item."""
    if not skipped and next_cursor is None:
        return b'],"skipped":[],"next":null}'
    return b"]," + orjson.dumps({"skipped": skipped, "next": next_cursor})[1:]


def encode_users(version: str, k: int, users: Sequence[Neighbour]) -> bytes:
    """A list of users; its fields are those of `service.schemas.UserList`."""
    listed = [{"user_id": user.user_id, "distance": _rounded(user.distance)} for user in users]
    return orjson.dumps({"model_version": version, "strategy": "nearest", "k": k, "users": listed})


def split_record(record: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The title and the rest of an item's metadata."""
    rest = dict(record)
    return rest.pop("title", None), rest


def _remember(fragments: dict[int, bytes], item: Recommended) -> bytes:
    title, metadata = split_record(item.record)
    values = {"item_id": item.item_id, "title": title, "metadata": metadata}
    if len(fragments) >= _MOST_FRAGMENTS:
        fragments.clear()
    fragments[item.row] = fragment = orjson.dumps(values)[:-1] + b',"distance":'
    return fragment


def _reasons(because: Sequence[Because]) -> bytes:
    listed = [
        {"item_id": one.item_id, "title": one.record.get("title"), "distance": _rounded(one.distance)}
        for one in because
    ]
    return orjson.dumps(listed)


def _rounded(distance: float) -> float:
    """Six digits are what single precision has to say."""
    return float(f"{distance:.6g}")

"""Lists as JSON bytes. Each item's constant part is encoded once and kept: a list is then mostly joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.answers import Because, Neighbour, Recommendations
from cml.artifact import Artifact
from cml.snapshot import Snapshot

_MOST_FRAGMENTS = 200_000  # items kept encoded per version; beyond it all are forgotten and encoded again


class ListEncoder:
    """Encodes lists; the fields and their meaning are those of `service.schemas.ItemList`."""

    def __init__(self) -> None:
        self._fragments: WeakKeyDictionary[Artifact, dict[int, bytes]] = WeakKeyDictionary()

    def encode(
        self, snapshot: Snapshot, answer: Recommendations, head: bytes, tail: bytes, explained: bool = False
    ) -> bytes:
        """`head` + the items, `explained` with reasons, + `tail`: what `opening` and `closing` make."""
        rows = answer.rows.tolist()
        known = self._fragments.get(snapshot.artifact)
        if known is None:
            known = self._fragments[snapshot.artifact] = {}
        try:
            fragments = [known[row] for row in rows]
        except KeyError:
            fragments = self._complete(known, snapshot, rows)
        numbers = _numbers(answer.values)
        if not answer.by_distance:
            parts = [b'%bnull,"score":%b' % pair for pair in zip(fragments, numbers, strict=True)]
        elif not explained:
            parts = [b'%b%b,"score":null' % pair for pair in zip(fragments, numbers, strict=True)]
        else:
            reasons = [_reasons(item.because) for item in answer.items]
            parts = [
                b'%b%b,"score":null,"because":%b' % parts
                for parts in zip(fragments, numbers, reasons, strict=True)
            ]
        return b"%b%b}%b" % (head, b"},".join(parts), tail) if parts else head + tail

    def _complete(self, known: dict[int, bytes], snapshot: Snapshot, rows: list[int]) -> list[bytes]:
        if len(known) >= _MOST_FRAGMENTS:
            known.clear()
        known.update((row, _fragment(*snapshot.card(row))) for row in rows if row not in known)
        return [known[row] for row in rows]


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


def _fragment(item_id: str, record: dict[str, Any]) -> bytes:
    """An item's JSON up to its distance."""
    title, metadata = split_record(record)
    return orjson.dumps({"item_id": item_id, "title": title, "metadata": metadata})[:-1] + b',"distance":'


def _numbers(values: NDArray[np.floating]) -> list[bytes]:
    """Each number in the shortest form that reads back the same."""
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",") if len(values) else []


def _reasons(because: Sequence[Because]) -> bytes:
    listed = [
        {"item_id": one.item_id, "title": one.record.get("title"), "distance": _rounded(one.distance)}
        for one in because
    ]
    return orjson.dumps(listed)


def _rounded(distance: float) -> float:
    """Six digits are what single precision has to say."""
    return float(f"{distance:.6g}")

"""Lists as JSON bytes. Each item's constant part is encoded once and kept: a list is then mostly joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.additions import Additions
from cml.answers import Because, Neighbour, Recommendations
from cml.artifact import Artifact
from cml.snapshot import Snapshot

_MOST_FRAGMENTS = 65_536  # items kept encoded per version; beyond it all are forgotten and encoded again


class EncodedList(NamedTuple):
    """A list as JSON, but for what is new in each answer: its own id and the cursor of the next page."""

    before_id: bytes
    after_id: bytes
    strategy: str
    n_items: int

    def whole(self, recommendation_id: str, next_cursor: str | None) -> bytes:
        """The list's JSON. Neither text has characters that JSON would escape."""
        following = b"null" if next_cursor is None else b'"%b"' % next_cursor.encode()
        return b"%b%b%b%b}" % (self.before_id, recommendation_id.encode(), self.after_id, following)


class ListEncoder:
    """Encodes lists; the fields and their meaning are those of `service.schemas.ItemList`."""

    def __init__(self) -> None:
        self._fragments: WeakKeyDictionary[Artifact | Additions, dict[int, bytes]] = WeakKeyDictionary()

    def encode(
        self,
        snapshot: Snapshot,
        answer: Recommendations,
        *,
        user_id: str | None = None,
        variant: str | None = None,
        explained: bool = False,
    ) -> EncodedList:
        """The list, `explained` with reasons, for a user and a variant of an experiment where there are."""
        opened: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
        opened |= {"model_version": answer.version, "strategy": answer.strategy, "variant": variant}
        items = b"},".join(self._items(snapshot, answer, explained)) + b"}" if len(answer.rows) else b""
        skipped = orjson.dumps(answer.skipped)
        return EncodedList(
            orjson.dumps(opened)[:-1] + b',"recommendation_id":"',
            b'","k":%d,"items":[%b],"skipped":%b,"next":' % (answer.k, items, skipped),
            answer.strategy,
            len(answer.rows),
        )

    def _items(self, snapshot: Snapshot, answer: Recommendations, explained: bool) -> list[bytes]:
        """Each item's JSON up to its closing brace."""
        fragments = self._fragments_of(snapshot, answer.rows.tolist())
        numbers = _numbers(answer.values)
        if not answer.by_distance:
            return [b'%bnull,"score":%b' % pair for pair in zip(fragments, numbers, strict=True)]
        if not explained:
            return [b'%b%b,"score":null' % pair for pair in zip(fragments, numbers, strict=True)]
        reasons = [_reasons(item.because) for item in answer.items]
        return [
            b'%b%b,"score":null,"because":%b' % parts
            for parts in zip(fragments, numbers, reasons, strict=True)
        ]

    def _fragments_of(self, snapshot: Snapshot, rows: list[int]) -> list[bytes]:
        known = self._known(snapshot.artifact)
        if snapshot.stock.added is None:
            return [known.get(row) or self._add(known, snapshot, row) for row in rows]
        added, n_own = self._known(snapshot.stock.added), snapshot.stock.n_own
        return [
            found.get(row) or self._add(found, snapshot, row)
            for row in rows
            for found in (known if row < n_own else added,)
        ]

    def _known(self, whose: Artifact | Additions) -> dict[int, bytes]:
        known = self._fragments.get(whose)
        if known is None:
            known = self._fragments[whose] = {}
        return known

    def _add(self, known: dict[int, bytes], snapshot: Snapshot, row: int) -> bytes:
        if len(known) >= _MOST_FRAGMENTS:
            known.clear()
        fragment = known[row] = _fragment(*snapshot.card(row))
        return fragment


def encode_users(version: str, recommendation_id: str, k: int, users: Sequence[Neighbour]) -> bytes:
    """A list of users; its fields are those of `service.schemas.UserList`."""
    listed = [{"user_id": user.user_id, "distance": _rounded(user.distance)} for user in users]
    return orjson.dumps(
        {
            "model_version": version,
            "strategy": "nearest",
            "recommendation_id": recommendation_id,
            "k": k,
            "users": listed,
        }
    )


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

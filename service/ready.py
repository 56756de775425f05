"""Lists as they were published, ready as bytes for the users who ask often."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakKeyDictionary

from cml.snapshot import Snapshot
from service.encoding import EncodedList

_MOST_BYTES = 32 << 20  # kept per snapshot; beyond it all are forgotten and made again


class ReadyLists:
    """Keeps encoded lists by snapshot and a key that says which list it is. They go when the snapshot goes.

    Only for lists that the snapshot and the key decide alone.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Snapshot, dict[Hashable, EncodedList]] = WeakKeyDictionary()
        self._sizes: WeakKeyDictionary[Snapshot, int] = WeakKeyDictionary()

    def find(self, snapshot: Snapshot, key: Hashable) -> EncodedList | None:
        """The list kept under this key, or None."""
        kept = self._kept.get(snapshot)
        return None if kept is None else kept.get(key)

    def keep(self, snapshot: Snapshot, key: Hashable, encoded: EncodedList) -> None:
        """Keep a list for the next time."""
        kept = self._kept.setdefault(snapshot, {})
        size = self._sizes.get(snapshot, 0) + len(encoded.before_id) + len(encoded.after_id)
        if size > _MOST_BYTES:
            kept.clear()
            size = 0
        kept[key] = encoded
        self._sizes[snapshot] = size

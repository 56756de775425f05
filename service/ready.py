"""Users' lists without options, ready as bytes for the users who ask often."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakKeyDictionary

from cml.events.values import Event
from cml.snapshot import Snapshot
from service.encoding import EncodedList

_MOST_BYTES = 32 << 20  # kept per snapshot; beyond it all are forgotten and made again


class ReadyLists:
    """Keeps encoded lists by snapshot and a key that says which list it is. They go when the snapshot goes.

    Only for lists that the snapshot, the key and the user's events decide alone. Events are compared by identity:
    whoever reads them anew makes the list anew.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Snapshot, dict[Hashable, tuple[tuple[Event, ...], EncodedList]]] = (
            WeakKeyDictionary()
        )
        self._sizes: WeakKeyDictionary[Snapshot, int] = WeakKeyDictionary()

    def find(self, snapshot: Snapshot, key: Hashable, events: tuple[Event, ...]) -> EncodedList | None:
        """The list kept under this key and made from these events, or None."""
        kept = self._kept.get(snapshot)
        found = None if kept is None else kept.get(key)
        if found is None or (found[0] is not events and (found[0] or events)):
            return None
        return found[1]

    def keep(
        self, snapshot: Snapshot, key: Hashable, events: tuple[Event, ...], encoded: EncodedList
    ) -> None:
        """Keep a list for the next time."""
        kept = self._kept.setdefault(snapshot, {})
        size = self._sizes.get(snapshot, 0) + len(encoded.before_id) + len(encoded.after_id)
        if size > _MOST_BYTES:
            kept.clear()
            size = 0
        kept[key] = events, encoded
        self._sizes[snapshot] = size

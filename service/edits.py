"""A snapshot as it must be shown now: without erased users and hidden items, with added items and new metadata.

Masks and added items are cheap and made before an answer. Changed metadata makes a new catalogue, so that filters
and the title search follow; that is done aside and takes effect when it is ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cml.events.meaning import still_held
from cml.events.values import ItemState
from cml.item_changes import changed_catalogue
from cml.snapshot import Snapshot
from cml.stock import Additions
from cml.vocabulary import UNKNOWN_ROW
from service.added import AddedItems
from service.live import Live


@dataclass(frozen=True, slots=True)
class _Masked:
    stamp: int
    base: Snapshot
    shown: Snapshot


class Masks:
    """Masks snapshots by what is live, adds the items that came since; keeps one such form of each version."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._masked: dict[str, _Masked] = {}
        self._added: dict[str, AddedItems] = {}

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it must be shown now."""
        stamp = self._live.masks_changed
        if not stamp:
            return snapshot
        known = self._masked.get(snapshot.version)
        if known is None or known.stamp != stamp or known.base is not snapshot:
            known = self._masked[snapshot.version] = _Masked(stamp, snapshot, self._mask(snapshot))
        return known.shown

    def forget_all_but(self, versions: tuple[str, ...]) -> None:
        """Let go of versions that left memory."""
        self._masked = {name: masked for name, masked in self._masked.items() if name in versions}
        self._added = {name: added for name, added in self._added.items() if name in versions}

    def _mask(self, snapshot: Snapshot) -> Snapshot:
        artifact = snapshot.artifact
        erased = list(still_held(artifact.users, artifact.data, self._live.erased.items()))
        hidden = [state.item_id for state in self._live.items.values() if state.hidden]
        added = self._additions(snapshot)
        if not (erased or hidden or added):
            return snapshot
        return snapshot.masked(erased=erased, hidden=hidden, added=added)

    def _additions(self, snapshot: Snapshot) -> Additions | None:
        added = self._added.setdefault(snapshot.version, AddedItems())
        return added.to(snapshot.artifact, self._live.items)


def with_metadata(snapshot: Snapshot, items: Mapping[str, ItemState]) -> Snapshot:
    """The version with the changed metadata of its items; the same object when there is none."""
    changed = {
        row: state.metadata
        for state in items.values()
        if state.metadata and (row := snapshot.artifact.items.find(state.item_id)) != UNKNOWN_ROW
    }
    if not changed:
        return snapshot
    catalogue = changed_catalogue(snapshot.artifact.catalogue, changed)
    return Snapshot(replace(snapshot.artifact, catalogue=catalogue), snapshot.version)

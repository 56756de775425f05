"""A snapshot as it must be shown now: without erased users and hidden items, with added items and new metadata.

Masks and added items are cheap and made before an answer. Changed metadata makes a new catalogue, so that filters
and the title search follow; that is done aside and takes effect when it is ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cml.events.meaning import still_held
from cml.events.values import ItemState
from cml.item_changes import changed_catalogue
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW
from service.added import AddedItems, latest
from service.live import Live


@dataclass(slots=True)
class _Form:
    """One version as it was shown last, and what of it serves again."""

    added: AddedItems
    base: Snapshot | None = None
    shown: Snapshot | None = None
    stamp: int = 0
    erased: list[str] = field(default_factory=list)  # of its users, by the erasures up to `erasure`
    erasure: int = -1


class Masks:
    """Masks snapshots by what is live, adds the items that came since; keeps one such form of each version."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._forms: dict[str, _Form] = {}

    def prepare(self, snapshot: Snapshot, items: dict[str, ItemState]) -> None:
        """Place the added items in a version that does not answer yet; from any thread. Little is left to `apply`."""
        form = _Form(AddedItems())
        additions = form.added.to(snapshot.artifact, items)
        if additions is not None:
            additions.make_ready()
        self._forms[snapshot.version] = form

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it must be shown now."""
        stamp = self._live.masks_changed
        if not stamp:
            return snapshot
        form = self._forms.get(snapshot.version)
        if form is None:
            form = self._forms[snapshot.version] = _Form(AddedItems())
        if form.shown is None or form.stamp != stamp or form.base is not snapshot:
            form.shown = self._mask(snapshot, form)
            form.base, form.stamp = snapshot, stamp
        return form.shown

    def forget_all_but(self, versions: tuple[str, ...]) -> None:
        """Let go of versions that left memory."""
        self._forms = {name: form for name, form in self._forms.items() if name in versions}

    def _mask(self, snapshot: Snapshot, form: _Form) -> Snapshot:
        live, artifact = self._live, snapshot.artifact
        if form.base is not snapshot or form.erasure != live.newest_erasure:
            form.erased = list(still_held(artifact.users, artifact.data, live.erased.items()))
            form.erasure = live.newest_erasure
        added = form.added.to(artifact, live.items)
        if not (form.erased or live.hidden or added):
            return snapshot
        return snapshot.masked(erased=form.erased, hidden=live.hidden, added=added)


class Metadata:
    """A published version with the metadata of its own items that was changed since. For one thread at a time."""

    def __init__(self, published: Snapshot) -> None:
        self._published = published
        self._shown = published
        self._known: dict[str, ItemState] = {}
        self._changed: dict[int, Mapping[str, Any]] = {}

    def after(self, states: dict[str, ItemState]) -> Snapshot:
        """The version after these changes, the latest last; the same object as before where none concerns it."""
        news = latest(states, self._known)
        rows = self._published.artifact.items.rows(state.item_id for state in news).tolist()
        said = {
            row: state.metadata or {} for row, state in zip(rows, news, strict=True) if row != UNKNOWN_ROW
        }
        if any(self._changed.get(row, {}) != metadata for row, metadata in said.items()):
            changed = {row: metadata for row, metadata in (self._changed | said).items() if metadata}
            self._shown = self._with(changed)
            self._changed = changed
        self._known.update((state.item_id, state) for state in news)
        return self._shown

    def _with(self, changed: Mapping[int, Mapping[str, Any]]) -> Snapshot:
        if not changed:
            return self._published
        artifact = self._published.artifact
        catalogue = changed_catalogue(artifact.catalogue, changed)
        return Snapshot(replace(artifact, catalogue=catalogue), self._published.version)

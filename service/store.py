"""Which model versions are in memory. Loaded whole, then swapped by replacing one reference.

Requests take `current` once and use only that: a swap never changes an answer under way. A version that
cannot be loaded changes nothing except `failure`, which readiness and the metrics show.

`seek` asks the registry, which may be far away and slow; `refresh` works on what is on this host, and is quick.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock

from cml.errors import CmlError, RegistryError
from cml.events.values import ItemState
from cml.registry import Registry
from cml.snapshot import Snapshot
from service.edits import Metadata
from service.errors import Problem
from service.metrics import Metrics

Prepare = Callable[
    [Snapshot, dict[str, ItemState]], None
]  # makes a version that is new here ready to be shown

_log = logging.getLogger(__name__)


class SnapshotStore:
    """The current snapshot, the one before it (listings begun on it can be continued) and a candidate."""

    def __init__(self, registry: Registry, metrics: Metrics, prepare: Prepare, *, verify: bool) -> None:
        self._registry = registry
        self._metrics = metrics
        self._prepare = prepare
        self._verify = verify
        self._loading = Lock()
        self._held: dict[str, Metadata] = {}
        self._shown: dict[str, Snapshot] = {}  # the same, with metadata that was changed since
        self._current: Snapshot | None = None
        self._before: str | None = None
        self._named: str | None = None  # what CURRENT said last, on this host
        self._unfound: CmlError | None = None  # why the last `seek` failed
        self.failure: str | None = None

    @property
    def current(self) -> Snapshot:
        """The snapshot that answers now. Raises Problem 503 while there is none."""
        if self._current is None:
            raise not_ready(self.failure or "no model is published yet")
        return self._current

    @property
    def is_ready(self) -> bool:
        """Whether there is a snapshot to answer with."""
        return self._current is not None

    def get(self, version: str) -> Snapshot | None:
        """A version that is in memory, or None."""
        return self._shown.get(version)

    def versions(self) -> tuple[str, ...]:
        """The versions in memory."""
        return tuple(self._shown)

    def seek(self, candidate: str | None = None) -> None:
        """Ask the registry what CURRENT names, and have that and the candidate on this host, for `refresh`.

        Blocks for as long as that takes: call it from a thread of its own, and not twice at once.
        """
        try:
            name = self._registry.current()
            if name is None and self._current is not None:
                raise RegistryError(
                    f"{self._registry.place}: the registry cannot be reached, or its CURRENT is gone; check what "
                    "is mounted there"
                )
            if name is not None and name not in self._held:
                self._registry.path(name)
            self._named = name
            if candidate is not None and candidate not in self._held:
                with _as_candidate():  # only now: it must not keep `name` away
                    self._registry.path(candidate)
            self._unfound = None
        except CmlError as error:
            self._unfound = error

    def refresh(self, candidate: str | None = None, items: dict[str, ItemState] | None = None) -> bool:
        """Load what `seek` found, and the candidate, if that is news; True when the current one changed.

        `items` is what was said about items, the latest last. Blocks while it reads: call it from a thread of
        its own.
        """
        with self._loading:
            before = self._current
            try:
                name = self._named
                if name is not None:
                    held = candidate if candidate in self._held else None
                    self._hold(name, held, items or {})
                    if candidate != held and candidate is not None:
                        with _as_candidate():  # only now: it must not keep `name` away
                            self._hold(name, candidate, items or {})
                failure = self._unfound
            except CmlError as error:
                failure = error
            if failure is None:
                self._succeeded()
            else:
                self._failed(failure)
            return self._current is not None and (before is None or before.version != self._current.version)

    def _hold(self, name: str, candidate: str | None, items: dict[str, ItemState]) -> None:
        """Have these versions and the one before in memory, and no others; swap when all are there and prepared."""
        swapped = self._current is None or self._current.version != name
        before = self._current.version if swapped and self._current is not None else self._before
        wanted = {name, candidate or name}
        if before is not None and before in self._held:
            wanted.add(before)
        held = {version: self._held.get(version) or Metadata(self._load(version)) for version in wanted}
        shown = {version: metadata.after(items) for version, metadata in held.items()}
        for version in wanted - self._held.keys():
            self._prepare(shown[version], items)
        self._held, self._shown, self._current = held, shown, shown[name]
        self._before = before
        if swapped:
            self._announce(shown[name])

    def _load(self, name: str) -> Snapshot:
        return Snapshot.load(self._registry, name, verify=self._verify)

    def _announce(self, snapshot: Snapshot) -> None:
        manifest = snapshot.artifact.manifest
        created = datetime.fromisoformat(manifest.created_at).timestamp()
        self._metrics.in_use(snapshot.version, created, manifest.index.recall)
        self._metrics.swaps.inc()
        _log.info("answering with version %s", snapshot.version)

    def _succeeded(self) -> None:
        self.failure = None
        self._metrics.reload_failing.set(0)

    def _failed(self, error: CmlError) -> None:
        if self.failure != str(error):
            _log.error("keeping the version in use: %s", error)
            self._metrics.load_failures.inc()
        self.failure = str(error)
        self._metrics.reload_failing.set(1)


@contextmanager
def _as_candidate() -> Iterator[None]:
    """An error of the block as one of the candidate, so that nobody looks for it in the current version."""
    try:
        yield
    except CmlError as error:
        raise RegistryError(
            f"the experiment's candidate cannot be loaded, and the current version answers everybody: {error}; put it "
            "back, or end the experiment"
        ) from error


def not_ready(reason: str) -> Problem:
    """503 until a model is there."""
    return Problem(503, "not-ready", "Not ready", reason, {"retry-after": "5"})

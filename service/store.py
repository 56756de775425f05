"""Which model versions are in memory. Loaded whole, then swapped by replacing one reference.

Requests take `current` once and use only that: a swap never changes an answer under way. A version that
cannot be loaded changes nothing except `failure`, which readiness and the metrics show.
"""

from __future__ import annotations

import logging
from datetime import datetime
from threading import Lock

from cml.errors import CmlError
from cml.registry import Registry
from cml.snapshot import Snapshot
from service.errors import Problem
from service.metrics import Metrics

_log = logging.getLogger(__name__)


class SnapshotStore:
    """The current snapshot, the one before it (listings begun on it can be continued) and a candidate."""

    def __init__(self, registry: Registry, metrics: Metrics, *, verify: bool) -> None:
        self._registry = registry
        self._metrics = metrics
        self._verify = verify
        self._loading = Lock()
        self._current: Snapshot | None = None
        self._kept: dict[str, Snapshot] = {}
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
        return self._kept.get(version)

    def refresh(self, candidate: str | None = None) -> bool:
        """Load what CURRENT names, and the candidate, if that is news; True when the current one changed.

        Blocks while it reads: call it from a thread of its own.
        """
        with self._loading:
            try:
                name = self._registry.current()
                changed = name is not None and (self._current is None or name != self._current.version)
                if name is not None:
                    self._take(name, candidate)
                self._succeeded()
                return changed
            except CmlError as error:
                self._failed(error)
                return False

    def _take(self, name: str, candidate: str | None) -> None:
        before = self._current
        current = self._kept.get(name) or self._load(name)
        kept = {name: current}
        if before is not None:
            previous = before if before.version != name else self._previous(name, candidate)
            if previous is not None:
                kept[previous.version] = previous
        self._kept, self._current = self._kept | kept, current
        if candidate is not None and candidate not in kept:
            kept[candidate] = self._kept.get(candidate) or self._load(candidate)
        self._kept = kept
        if before is not current:
            self._announce(current)

    def _previous(self, name: str, candidate: str | None) -> Snapshot | None:
        others = [snapshot for version, snapshot in self._kept.items() if version not in (name, candidate)]
        return others[-1] if others else None

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


def not_ready(reason: str) -> Problem:
    """503 until a model is there."""
    return Problem(503, "not-ready", "Not ready", reason, {"retry-after": "5"})

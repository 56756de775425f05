"""Events that are gone: another database than before, or one that has come less far than what versions have learned."""

from __future__ import annotations

import logging

from cml.errors import EventStoreError
from cml.events.meaning import learned_by
from cml.events.store import EventStore
from service.metrics import Metrics
from service.store import SnapshotStore

_log = logging.getLogger(__name__)


class Losses:
    """What readiness, the log and the metrics tell as long as this process lives. It answers on meanwhile.

    Numbers of events that a version has learned must not be given out again: events under them would be taken for old
    news, and erasures would mask nobody. So a store that is behind goes on above them.
    """

    def __init__(self, stored: EventStore | None, store: SnapshotStore, metrics: Metrics) -> None:
        self._stored = stored
        self._store = store
        self._metrics = metrics
        self._looked_at: set[str] = set()
        self.problems: list[str] = []

    def look(self) -> None:
        """Compare the store with the versions in memory that are new here. Blocking: call it from a thread."""
        if self._stored is None:
            return
        if self._stored.complaint and self._stored.complaint not in self.problems:
            self._tell(self._stored.complaint)
        for version in set(self._store.versions()) - self._looked_at:
            snapshot = self._store.get(version)
            if snapshot is None:
                continue
            try:
                self._compare(version, snapshot.artifact.data)
            except EventStoreError:  # told by who reads events; the next look asks again
                return
            self._looked_at.add(version)
        self._metrics.event_store_lost.set(bool(self.problems))

    def _compare(self, version: str, data: dict) -> None:
        assert self._stored is not None
        learned = learned_by(data)
        had = self._stored.number_after(learned)
        if had is not None:
            self._tell(
                f"{self._stored} has numbered {had.events:,} events and {had.erasures:,} erasures, and version "
                f"{version} has learned {learned.events:,} and {learned.erasures:,}: it is a new database, or an older "
                "one. Stop what uses it and put the right one back, or restore a backup (`cml events restore`); what "
                "comes in now is numbered after what the version has learned"
            )

    def _tell(self, problem: str) -> None:
        _log.error("events are missing: %s", problem)
        self.problems.append(problem)

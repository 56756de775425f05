"""Versions and experiments, for administrators. Blocking: call it from a thread."""

from __future__ import annotations

from cml.errors import ArtifactError, RegistryError
from cml.registry import Registry
from service.asked import ExperimentRequest
from service.errors import Problem, unknown
from service.live import Live
from service.records import Records
from service.schemas import Experiment, Versions
from service.store import SnapshotStore


class Administration:
    """Moves the registry's pointer and decides on experiments; every worker notices by itself."""

    def __init__(self, registry: Registry, store: SnapshotStore, live: Live, records: Records) -> None:
        self._registry = registry
        self._store = store
        self._live = live
        self._records = records

    def state(self) -> Versions:
        """What is published and what answers."""
        running = self._live.experiment
        return Versions(
            current=self._store.current.version if self._store.is_ready else None,
            versions=self._registry.versions(),
            experiment=None
            if running is None or running.candidate is None
            else Experiment(name=running.name, candidate=running.candidate, share=running.share),
            failure=self._store.failure,
        )

    def roll_back(self) -> None:
        """Raises Problem 409 when there is nothing to go back to, or it is damaged."""
        try:
            self._registry.rollback()
        except (RegistryError, ArtifactError) as error:
            raise _impossible(error) from None

    def activate(self, version: str) -> None:
        """Raises Problem: 404 for an unknown version, 409 for a damaged one."""
        self._require(version)
        try:
            self._registry.set_current(version)
        except (RegistryError, ArtifactError) as error:
            raise _impossible(error) from None

    def start_experiment(self, request: ExperimentRequest) -> None:
        """Raises Problem 404 for an unknown candidate."""
        self._require(request.candidate)
        self._records.start_experiment(request)

    def _require(self, version: str) -> None:
        if version not in self._registry.versions():
            raise unknown("version", version)


def _impossible(error: Exception) -> Problem:
    return Problem(409, "not-possible", "Not possible", str(error))

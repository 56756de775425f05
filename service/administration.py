"""Versions and experiments, for administrators. Blocking: call it from a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cml.errors import ArtifactError, LockedError, RegistryError, StorageError
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
        """What is published and what answers; of a registry that does not answer, what is in memory."""
        running, failure = self._live.experiment, self._store.failure
        try:
            versions = self._registry.versions()
        except StorageError as error:
            versions, failure = sorted(self._store.versions()), failure or str(error)
        return Versions(
            current=self._store.current.version if self._store.is_ready else None,
            versions=versions,
            experiment=None
            if running is None or running.candidate is None
            else Experiment(name=running.name, candidate=running.candidate, share=running.share),
            failure=failure,
        )

    def roll_back(self) -> None:
        """Raises Problem: 409 when there is nothing to go back to, or it is damaged, 503 without an answer."""
        with self._told():
            self._registry.rollback()

    def activate(self, version: str) -> None:
        """Raises Problem: 404 for an unknown version, 409 for a damaged one, 503 without an answer."""
        with self._told():
            self._require(version)
            self._registry.set_current(version)

    def start_experiment(self, request: ExperimentRequest) -> None:
        """Raises Problem: 404 for an unknown candidate, 409 for the current version, with which nothing is compared."""
        with self._told():
            self._require(request.candidate)
            if request.candidate == self._registry.current():
                raise RegistryError(
                    f"candidate: {request.candidate} is the current version, so both variants would be the same; name "
                    "another version"
                )
        self._records.start_experiment(request)

    def _require(self, version: str) -> None:
        if version not in self._registry.versions():
            raise unknown("version", version)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the registry refuses as a Problem, and that it does not answer as another."""
        try:
            # A directory that is gone says nothing.
            if self._store.is_ready and not self._registry.versions():
                raise StorageError(
                    f"{self._registry.place}: the registry cannot be reached: it has no versions, and one is in use "
                    "here; check what is mounted there"
                )
            yield
        except StorageError as error:
            raise Problem(
                503, "registry-unavailable", "The registry does not answer", str(error), {"retry-after": "5"}
            ) from None
        except (RegistryError, ArtifactError, LockedError) as error:
            raise Problem(409, "not-possible", "Not possible", str(error)) from None

"""What is stored beside the model: events, what was said about items, experiments. Shown, changed, erased."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event, Experiment, ItemState
from cml.features.values import unfit
from cml.item_changes import misfit
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW
from service.asked import ExperimentRequest, ItemUpdate
from service.errors import Problem, invalid, unknown
from service.experiments import Shown
from service.intake import events_off, unavailable
from service.schemas import Erased, StoredEvent, User


class Records:
    """Reads and writes the event store on request. Blocking: call it from a thread."""

    def __init__(self, store: EventStore | None) -> None:
        self._store = store

    def user(self, user_id: str, snapshot: Snapshot) -> User:
        """Everything known about a user. Raises Problem 404 when that is nothing."""
        with self._open() as store:
            events = store.events_of(user_id)
        row = snapshot.user_row(user_id)
        if row == UNKNOWN_ROW and not events:
            raise unknown("user", user_id)
        items = snapshot.artifact.items
        trained = [] if row == UNKNOWN_ROW else [items[item_row] for item_row in snapshot.seen_rows(row)]
        return User(
            user_id=user_id,
            in_model=row != UNKNOWN_ROW,
            trained_on=trained,
            events=[_shown(event) for event in events],
        )

    def erase(self, user_id: str) -> Erased:
        """Erase a user; from now on no answer knows them. Erasing again, or somebody unknown, is no error."""
        with self._open() as store:
            return Erased(user_id=user_id, events=store.erase(user_id))

    def put_item(self, item_id: str, update: ItemUpdate, snapshot: Snapshot) -> None:
        """Replace what is said about an item. Raises Problem 422 for values that do not fit the version."""
        _refuse_misfits(update, snapshot)
        with self._open() as store:
            store.put_item(ItemState(item_id, update.hidden, update.metadata, update.features))

    def hide_item(self, item_id: str, hidden: bool) -> None:
        """Hide or show an item, leaving the rest of what is said about it."""
        with self._open() as store:
            store.hide_item(item_id, hidden)

    def start_experiment(self, request: ExperimentRequest) -> None:
        """From now on a share of the users gets the candidate."""
        with self._open() as store:
            store.decide(Experiment(request.name, request.candidate, request.share))

    def end_experiment(self) -> None:
        """From now on everybody gets the current version. Raises Problem 409 when no experiment runs."""
        with self._open() as store:
            running = store.experiment()
            if running is None or running.candidate is None:
                raise Problem(409, "no-experiment", "No experiment", "no experiment runs")
            store.decide(Experiment(running.name, None, 0.0))

    def expose(self, shown: Shown) -> None:
        """Add to the number of lists shown in an experiment, but for users who were erased meanwhile."""
        with self._open() as store:
            store.expose(shown.lists, after_erasure=shown.erasure)

    def close(self) -> None:
        """Let go of the store; nothing may be asked afterwards."""
        if self._store is not None:
            self._store.close()

    @contextmanager
    def _open(self) -> Iterator[EventStore]:
        if self._store is None:
            raise events_off()
        try:
            yield self._store
        except EventStoreError as error:
            raise unavailable(error) from error


def _refuse_misfits(update: ItemUpdate, snapshot: Snapshot) -> None:
    artifact = snapshot.artifact
    for name, value in (update.metadata or {}).items():
        if reason := misfit(name, value, artifact.catalogue):
            raise invalid(f"metadata.{name}: {reason}")
    if artifact.placer is None:
        return
    for place, values in (("metadata", update.metadata), ("features", update.features)):
        for name, value in (values or {}).items():
            if reason := unfit(artifact.placer.encoder, name, value):
                raise invalid(f"{place}.{name}: {reason}")


def _shown(event: Event) -> StoredEvent:
    return StoredEvent(
        event_id=event.event_id,
        item_id=event.item_id,
        type=event.type,
        weight=event.weight,
        time=event.occurred_at,
        recommendation_id=event.recommendation_id,
    )

"""Group commit: many small writes share one durable transaction, and none waits for a timer.

One thread takes whatever queued up while it wrote the last group, so a lone event is written at once and a
thousand concurrent ones cost a handful of disk flushes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event

_LARGEST_GROUP = 5_000  # events in one transaction: bounds how long the write lock is held


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one submission: how many events are new, how many were known by their id."""

    accepted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class _Submission:
    events: Sequence[Event]
    receipt: Future[Receipt]


class EventWriter:
    """Takes events from any thread; each future resolves when its events are on disk, or with the error."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._queue: SimpleQueue[_Submission | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._run, name="event-writer", daemon=True)
        self._thread.start()

    def submit(self, events: Sequence[Event]) -> Future[Receipt]:
        """Queue events to be written in the order of the calls."""
        if self._closed:
            raise EventStoreError("the event writer is closed; send the events again to a running service")
        submission = _Submission(events, Future())
        self._queue.put(submission)
        return submission.receipt

    def backlog(self) -> int:
        """Submissions that wait to be written."""
        return self._queue.qsize()

    def close(self) -> None:
        """Write everything that was submitted, then stop."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            group, open_ = self._next_group()
            if group:
                self._write(group)

    def _next_group(self) -> tuple[list[_Submission], bool]:
        """Waits for one submission, then takes what else is there; False when the writer was closed."""
        group: list[_Submission] = []
        size = 0
        while size < _LARGEST_GROUP and (not group or not self._queue.empty()):
            submission = self._queue.get()
            if submission is None:
                return group, False
            group.append(submission)
            size += len(submission.events)
        return group, True

    def _write(self, group: list[_Submission]) -> None:
        first = {event.event_id: event for one in reversed(group) for event in reversed(one.events)}
        try:
            new = set(self._store.append(list(reversed(first.values()))))
        except Exception as error:  # whatever it is belongs to those who wait, not to this thread
            for one in group:
                one.receipt.set_exception(error)
            return
        for one in group:
            accepted = 0
            for event in one.events:
                if event.event_id in new:
                    new.remove(event.event_id)
                    accepted += 1
            one.receipt.set_result(Receipt(accepted, len(one.events) - accepted))

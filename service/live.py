"""What happened since the model was published, as this worker knows it: events, erasures, items, experiment.

Every worker follows the event store by itself. Before each answer it asks the store whether anyone committed
anything since the last answer (on SQLite one PRAGMA of a few microseconds, on PostgreSQL one round trip) and
reads what is new. So an event that one worker acknowledged counts in the next answer of every other.

A database server that fails is not asked again before answers, which would hold them all up: they go on with
what is known, and the look around finds out, in another thread, when the server is back.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event, Experiment, ItemState, Marks

_MOST_USERS = 100_000  # users whose events are kept in memory; beyond it all are forgotten and read again
_log = logging.getLogger(__name__)


def added_mark(added_at: float | None) -> int:
    """The time when an item was added, as a whole number of microseconds that differs for every item."""
    return 0 if added_at is None or math.isnan(added_at) else round(added_at * 1e6)


class Live:
    """A reader's view of the event store, for one thread. Without a store nothing ever happened.

    `refresh_for_answer` before each; a store that fails leaves the last known state, and `failure` says why.
    """

    def __init__(self, store: EventStore | None, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._version: Hashable = None
        self._asked_in_this_turn = False
        self._marks = Marks()
        self._events: dict[str, tuple[Event, ...]] = {}
        self.erased: dict[str, int] = {}  # digest of a user id -> number of the erasure
        self.items: dict[str, ItemState] = {}  # what changed last stands last
        self.hidden: set[str] = set()
        self._newest_item = 0
        self.masks_changed = (
            0  # counts up with `items` and `erased`: what is derived from them is keyed by it
        )
        self.experiment: Experiment | None = None
        self.asked_at = 0.0  # when the store last said how far it is, seconds since 1970
        self.failure: str | None = None

    def refresh_for_answer(self) -> None:
        """`refresh`, once for all answers made in one turn of the event loop.

        Their requests had all arrived before the turn began, so they count everything acknowledged before.
        """
        if self._store is not None and not self._asked_in_this_turn and not self._must_wait():
            self.refresh()
            self._asked_in_this_turn = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    async def look(self) -> None:
        """`refresh`, for the look around: a server that failed is asked in a thread whether it is back."""
        if self._store is not None and self._must_wait():
            try:
                await asyncio.to_thread(self._store.check)
            except EventStoreError as error:
                self.failure = str(error)
                return
        self.refresh()

    def refresh(self) -> None:
        """Take over what was committed by anyone since the last call."""
        if self._store is None:
            return
        try:
            version = self._store.version()
            if version != self._version:
                self._take_over()
                self._version = version
            self.asked_at = self._clock()
            self.failure = None
        except EventStoreError as error:
            if self.failure is None:
                _log.error("answering without new events: %s", error)
            self.failure = str(error)

    @property
    def never_read(self) -> bool:
        """Whether there is a store that could not be read even once."""
        return self._store is not None and self._version is None

    @property
    def newest_event(self) -> int:
        """Number of the last event that was taken over."""
        return self._marks.events

    @property
    def newest_erasure(self) -> int:
        """Number of the last erasure that was taken over."""
        return self._marks.erasures

    @property
    def newest_item(self) -> int:
        """When the last item was added, in microseconds since 1970; 0 before there is one."""
        return self._newest_item

    def events_of(self, user_id: str) -> tuple[Event, ...]:
        """The user's stored events in the order of their arrival."""
        if self._store is None or self._marks.events == 0:
            return ()
        known = self._events.get(user_id)
        if known is None:
            if self._must_wait():
                return ()
            try:
                known = tuple(self._store.events_of(user_id)) if self._store.knows(user_id) else ()
            except EventStoreError as error:
                self.failure = str(error)
                return ()
            if len(self._events) >= _MOST_USERS:
                self._events.clear()
            self._events[user_id] = known
        return known

    def _must_wait(self) -> bool:
        return self.failure is not None and self._store is not None and self._store.may_block

    def _end_turn(self) -> None:
        self._asked_in_this_turn = False

    def _take_over(self) -> None:
        assert self._store is not None
        changes = self._store.changes(self._marks, with_users=self._version is not None)
        for user_id in changes.users:
            self._events.pop(user_id, None)
        if changes.erased:
            self._events.clear()  # only digests are known, so any of these users may be meant
        self.erased.update(changes.erased)
        for state in changes.items:
            self.items.pop(state.item_id, None)
            self.items[state.item_id] = state
            (self.hidden.add if state.hidden else self.hidden.discard)(state.item_id)
        self._newest_item = max([self._newest_item, *(added_mark(state.added_at) for state in changes.items)])
        self.masks_changed += bool(changes.items or changes.erased)
        self.experiment = changes.experiment or self.experiment
        self._marks = changes.marks

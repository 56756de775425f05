"""Events on their way in: completed with what the client left out, on disk before they are acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

from cml.errors import EventStoreError
from cml.events.values import Event
from cml.events.writer import EventWriter
from cml.vocabulary import UNKNOWN_ROW
from service.asked import EventIn
from service.errors import Problem, invalid
from service.metrics import Metrics
from service.pages import Pages
from service.schemas import EventsReceipt
from service.settings import Settings


class Intake:
    """Takes events for this worker. Without a writer it refuses them all."""

    def __init__(
        self,
        settings: Settings,
        writer: EventWriter | None,
        pages: Pages,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._pages = pages
        self._metrics = metrics
        self._clock = clock

    async def take(self, events: list[EventIn]) -> EventsReceipt:
        """Returns when the events are on disk. Raises Problem: 422 for too many, 503 for a broken store."""
        if len(events) > self._settings.max_events:
            raise invalid(f"events: {len(events)} in one request, at most {self._settings.max_events}")
        if self._writer is None:
            raise events_off()
        try:
            stored = self._writer.submit([self._complete(event) for event in events])
            receipt = await asyncio.wrap_future(stored)
        except EventStoreError as error:
            raise unavailable(error) from error
        self._metrics.events.labels("accepted").inc(receipt.accepted)
        self._metrics.events.labels("duplicate").inc(receipt.duplicates)
        return EventsReceipt(
            accepted=receipt.accepted, duplicates=receipt.duplicates, unknown_items=self._unknown(events)
        )

    def note_backlog(self) -> None:
        """Bring the metric up to date."""
        if self._writer is not None:
            self._metrics.event_backlog.set(self._writer.backlog())

    def close(self) -> None:
        """Write what was taken, take no more."""
        if self._writer is not None:
            self._writer.close()

    def _complete(self, event: EventIn) -> Event:
        weight, now = event.weight, self._clock()
        return Event(
            event_id=event.event_id or uuid4().hex,
            user_id=event.user_id,
            item_id=event.item_id,
            type=event.type,
            weight=self._settings.event_weights[event.type] if weight is None else weight,
            occurred_at=now if event.time is None else min(event.time, now),  # as retraining counts it
            recommendation_id=event.recommendation_id,
        )

    def _unknown(self, events: list[EventIn]) -> list[str]:
        try:
            stock = self._pages.shown().stock
        except Problem:  # no version is there yet
            return []
        return list(dict.fromkeys(one.item_id for one in events if stock.find(one.item_id) == UNKNOWN_ROW))


def events_off() -> Problem:
    """503 where the service was started without an event store."""
    return Problem(503, "events-off", "No event store", "this service was started with events off")


def unavailable(error: EventStoreError) -> Problem:
    """503 when the store fails. The connection may have broken after the commit, so what was sent may be stored;
    sent again with the same event ids, it counts once either way.
    """
    detail = f"not acknowledged, send it again with the same event ids: {error}"
    return Problem(503, "events-unavailable", "Event store unavailable", detail, {"retry-after": "1"})

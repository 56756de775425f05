"""From a request's meaning to a list: which version answers, with which events, and what the list says of itself.

How a list is made is `cml.recommend`'s business; here is decided what it is made from.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cml.catalogue import AVAILABLE_FROM, AVAILABLE_UNTIL
from cml.errors import QueryError, VocabularyError
from cml.recommend import Fallback, Recommendations, popular, recommend, similar_items
from cml.snapshot import Snapshot
from service import cursors
from service.cursors import Cursor
from service.encoding import ListEncoder, closing, opening
from service.errors import invalid, unknown
from service.live import Live
from service.metrics import Metrics
from service.schemas import ListOptions
from service.settings import Settings
from service.store import SnapshotStore


@dataclass(frozen=True, slots=True)
class Page:
    """What one list is cut from: the snapshot, how many events count, and which part of the ranking."""

    snapshot: Snapshot
    variant: str | None
    cursor: Cursor
    k: int


class Answers:
    """Makes every list that the service gives, as JSON. For one thread."""

    def __init__(
        self,
        settings: Settings,
        store: SnapshotStore,
        live: Live,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._live = live
        self._metrics = metrics
        self._clock = clock
        self._encoder = ListEncoder()
        self._nonce = os.urandom(5).hex()
        self._counter = itertools.count(1)

    def for_user(self, user_id: str, options: ListOptions) -> bytes:
        """The items nearest to a user; popular ones for a user whom nothing is known of."""
        page = self._page(options, user_id)
        with _problems():
            answer = recommend(page.snapshot, user_id, **self._options(page, options))
        return self._encode(page, options, answer, user_id)

    def similar(self, item_id: str, options: ListOptions) -> bytes:
        """The items nearest to an item. Raises Problem 404 for one that the version does not know."""
        page = self._page(options, None)
        with _problems(item_id):
            answer = similar_items(page.snapshot, item_id, **self._options(page, options))
        return self._encode(page, options, answer, None)

    def ranked(self, by: Fallback, options: ListOptions) -> bytes:
        """The same list for everybody: popular, trending or recent."""
        page = self._page(options, None)
        with _problems():
            answer = popular(page.snapshot, by=by, **self._options(page, options))
        return self._encode(page, options, answer, None)

    def _page(self, options: ListOptions, user_id: str | None) -> Page:
        listing = cursors.fingerprint(options)
        k = self._length(options)
        if options.cursor is None:
            snapshot = self._store.current
            return Page(snapshot, None, Cursor(snapshot.version, 0, 0, listing), k)
        cursor = cursors.parse(options.cursor, listing)
        if cursor.offset + k > self._settings.max_depth:
            raise invalid(f"cursor: a listing can be read up to item {self._settings.max_depth}")
        pinned = self._store.get(cursor.version)
        if pinned is None:
            raise cursors.expired(cursor.version)
        return Page(pinned, None, cursor, k)

    def _length(self, options: ListOptions) -> int:
        k = self._settings.default_k if options.k is None else options.k
        if k > self._settings.max_k:
            raise invalid(f"k = {k}: at most {self._settings.max_k}; use the cursor for more")
        for name, ids in (("exclude", options.exclude), ("allow", options.allow or ())):
            if len(ids) > self._settings.max_list:
                raise invalid(f"{name}: {len(ids)} ids, at most {self._settings.max_list}")
        return k

    def _options(self, page: Page, options: ListOptions) -> dict[str, Any]:
        asked: dict[str, Any] = {"k": page.k, "offset": page.cursor.offset}
        given = options.model_fields_set - {"k", "cursor", "explain", "available_at"}
        asked |= {name: getattr(options, name) for name in given}
        if options.explain:
            asked["because"] = options.explain
        moment = self._moment(page.snapshot, options.available_at)
        if moment is not None:
            asked["available_at"] = moment
        return asked

    def _moment(self, snapshot: Snapshot, asked: str | None) -> float | str | None:
        if asked is None:
            columns = snapshot.artifact.catalogue.columns
            return self._clock() if AVAILABLE_FROM in columns or AVAILABLE_UNTIL in columns else None
        if asked == "now":
            return self._clock()
        try:
            return float(asked)
        except ValueError:
            return asked

    def _encode(
        self, page: Page, options: ListOptions, answer: Recommendations, user_id: str | None
    ) -> bytes:
        self._metrics.answers.labels(answer.strategy, page.variant or "").inc()
        if options.where or options.allow is not None:
            self._metrics.filtered.inc()
        version = answer.version
        recommendation_id = f"{version}.{page.variant or ''}.{self._nonce}{next(self._counter):x}"
        head = opening(version, answer.strategy, page.variant, recommendation_id, page.k, user_id)
        return self._encoder.encode(
            page.snapshot, answer, head, closing(answer.skipped, self._next(page, answer))
        )

    def _next(self, page: Page, answer: Recommendations) -> str | None:
        end = page.cursor.offset + page.k
        if len(answer.items) < page.k or end >= self._settings.max_depth:
            return None
        return str(Cursor(page.snapshot.version, end, page.cursor.through, page.cursor.listing))


@contextmanager
def _problems(item_id: str | None = None) -> Iterator[None]:
    """What the recommender refuses, as the problems that callers get."""
    try:
        yield
    except QueryError as error:
        raise invalid(str(error)) from None
    except VocabularyError:
        raise unknown("item", item_id or "") from None

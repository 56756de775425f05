"""From a request's meaning to a list, as JSON.

How a list is made is `cml.recommend`'s business. A method here looks at everything that may change (version,
events, masks, experiment) before it waits for anything; what it then waits for only computes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

import orjson

from cml.errors import QueryError, VocabularyError
from cml.events.meaning import EVENTS_KNOWN
from cml.events.values import Event
from cml.neighbours import similar_users, users_for_item
from cml.newcomers import prior_of
from cml.recommend import (
    PERSONAL,
    Fallback,
    Recommendations,
    popular,
    recommend,
    recommend_session,
    similar_items,
)
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW
from service.asked import BatchRequest, ListOptions, SessionRequest
from service.encoding import EncodedList, ListEncoder, encode_users
from service.errors import Problem, invalid, unknown
from service.live import Live
from service.metrics import Metrics
from service.pages import Page, Pages, refusals
from service.ready import ReadyLists
from service.settings import Settings
from service.signals import Signals, from_events, from_request
from service.store import SnapshotStore

Result = TypeVar("Result")
# Catalogues with at most this many numbers are searched in well under a millisecond: handing that to another
# thread would cost more than it frees.
_INLINE = 2_000_000
_QUICK_REACH = 300  # items: so many of an approximate index are found as fast
_TURN = 0.005  # seconds that a batch works before other requests get their turn


class Answers:
    """Makes every list that the service gives. Its methods are for the event loop's thread."""

    def __init__(
        self, settings: Settings, store: SnapshotStore, live: Live, metrics: Metrics, pages: Pages
    ) -> None:
        self._settings = settings
        self._store = store
        self._live = live
        self._metrics = metrics
        self._pages = pages
        self._encoder = ListEncoder()
        self._ready = ReadyLists()
        self._nonce = os.urandom(5).hex()
        self._counter = itertools.count(1)
        self._searcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="search")

    async def run(self, job: Callable[[], Result], *, quick: bool = False) -> Result:
        """The job's result; computed on the one search thread where the catalogue is large, unless it is quick."""
        if quick or self._store.current.artifact.item_vectors.size <= _INLINE:
            return job()
        return await asyncio.get_running_loop().run_in_executor(self._searcher, job)

    def close(self) -> None:
        """End the search thread."""
        self._searcher.shutdown()

    async def for_user(self, user_id: str, options: ListOptions) -> bytes:
        """The items nearest to a user; popular ones for a user of whom nothing is known."""
        page = self._pages.page(options, user_id)
        events = self._live.events_of(user_id)
        key = user_id, page.k, page.variant
        encoded = self._ready.find(page.snapshot, key, events) if page.plain else None
        if encoded is None:
            signals = self._signals(events, page)

            def make() -> EncodedList:
                return self._encoded(page, self._personal(page, user_id, signals), user_id)

            as_published = page.plain and not signals
            encoded = make() if as_published else await self.run(make)
            if page.plain and (signals or encoded.strategy == PERSONAL):  # of unknown users there is no end
                self._ready.keep(page.snapshot, key, events, encoded)
        return self._finish(page, encoded)

    async def for_session(self, request: SessionRequest) -> bytes:
        """The items nearest to somebody known by likes and dislikes, and by history if they say who."""
        self._pages.require_short("liked", request.liked)
        self._pages.require_short("disliked", request.disliked)
        user_id = request.user_id
        page = self._pages.page(request, user_id)
        signals, features = from_request(request), request.user_features
        if features is not None:
            _refuse_features(page, features)
            if user_id is not None and page.snapshot.user_row(user_id) != UNKNOWN_ROW:
                features = None  # the trained place has them already
        if user_id is not None:
            signals = self._signals(self._live.events_of(user_id), page) + signals
        quick = user_id is None and _is_quick(page, len(request.liked) + len(request.disliked))
        return await self.run(
            lambda: self._encode(page, self._personal(page, user_id, signals, features), user_id),
            quick=quick,
        )

    async def similar_items(self, item_id: str, options: ListOptions) -> bytes:
        """The items nearest to an item. Raises Problem 404 for one that the version does not know."""
        page = self._pages.page(options)

        def job() -> bytes:
            try:
                with refusals():
                    return self._encode(page, similar_items(page.snapshot, item_id, **page.asked))
            except VocabularyError:
                raise unknown("item", item_id) from None

        return await self.run(job, quick=_is_quick(page, 1))

    async def ranked(self, by: Fallback, options: ListOptions) -> bytes:
        """The same list for everybody: popular, trending or recent."""
        page = self._pages.page(options)

        def job() -> bytes:
            with refusals():
                return self._encode(page, popular(page.snapshot, by=by, **page.asked))

        return await self.run(job)

    async def similar_users(self, user_id: str, k: int | None) -> bytes:
        """The users nearest to a user. Raises Problem 404 for one that the version does not know."""
        snapshot, length = self._pages.shown(), self._pages.length(k, paged=False)

        def job() -> bytes:
            try:
                found = similar_users(snapshot, user_id, k=length)
                return encode_users(snapshot.version, self._id(snapshot, "."), length, found)
            except VocabularyError:
                raise unknown("user", user_id) from None

        return await self.run(job)

    async def users_for_item(self, item_id: str, k: int | None) -> bytes:
        """The users nearest to an item who have not seen it. Raises Problem 404 for no such item."""
        snapshot, length = self._pages.shown(), self._pages.length(k, paged=False)

        def job() -> bytes:
            try:
                with refusals():
                    found = users_for_item(snapshot, item_id, k=length)
                    return encode_users(snapshot.version, self._id(snapshot, "."), length, found)
            except VocabularyError:
                raise unknown("item", item_id) from None

        return await self.run(job)

    def batch(self, request: BatchRequest) -> AsyncIterator[bytes]:
        """A list for each user, one JSON line each. Raises Problem 422 before the first for a bad request."""
        if len(request.user_ids) > self._settings.max_batch:
            raise invalid(f"user_ids: {len(request.user_ids)} users, at most {self._settings.max_batch}")
        if request.cursor is not None:
            raise invalid("cursor: a batch has no pages; ask for a longer list")
        given = request.model_fields_set - {"user_ids"}
        options = ListOptions(**{name: getattr(request, name) for name in given})
        self._personal(self._pages.page(options), None, Signals())  # refuse now what makes no sense
        return self._lines(request.user_ids, options)

    async def _lines(self, user_ids: Sequence[str], options: ListOptions) -> AsyncIterator[bytes]:
        began = perf_counter()
        for user_id in user_ids:
            try:
                yield await self.for_user(user_id, options) + b"\n"
            except Problem as problem:
                error = orjson.loads(problem.body(""))
                yield orjson.dumps({"user_id": user_id, "error": error}, option=orjson.OPT_APPEND_NEWLINE)
            if perf_counter() - began > _TURN:
                await _let_others()
                began = perf_counter()

    def _personal(
        self,
        page: Page,
        user_id: str | None,
        signals: Signals,
        features: Mapping[str, object] | None = None,
    ) -> Recommendations:
        """A user's list as it was published, or one that counts what came since, or is known of somebody new."""
        with refusals():
            if user_id is not None and not signals and features is None:
                return recommend(page.snapshot, user_id, **page.asked)
            return recommend_session(
                page.snapshot,
                signals.liked,
                signals.disliked,
                user_id=user_id,
                features=features,
                **page.asked,
            )

    def _signals(self, events: Sequence[Event], page: Page) -> Signals:
        """What a user's events say beyond what the version learned."""
        if not events:
            return Signals()
        known = int(page.snapshot.artifact.data.get(EVENTS_KNOWN, 0))
        find = page.snapshot.stock.find_placed
        return from_events(
            one
            for one in events
            if known < one.sequence <= page.cursor.through and find(one.item_id) != UNKNOWN_ROW
        )

    def _encode(self, page: Page, answer: Recommendations, user_id: str | None = None) -> bytes:
        return self._finish(page, self._encoded(page, answer, user_id))

    def _encoded(self, page: Page, answer: Recommendations, user_id: str | None) -> EncodedList:
        explained = "because" in page.asked
        return self._encoder.encode(
            page.snapshot, answer, user_id=user_id, variant=page.variant, explained=explained
        )

    def _id(self, snapshot: Snapshot, mark: str) -> str:
        return f"{snapshot.version}{mark}{self._nonce}{next(self._counter):x}"

    def _finish(self, page: Page, encoded: EncodedList) -> bytes:
        """Count the list and give it an id of its own."""
        self._metrics.answered(encoded.strategy, page.variant, page.restricted)
        if page.counts_as is not None:
            self._pages.assignment.note(page.counts_as)
        recommendation_id = self._id(page.snapshot, page.mark)
        return encoded.whole(recommendation_id, page.following(encoded.n_items, self._settings.max_depth))


async def _let_others() -> None:
    await asyncio.sleep(0)


def _refuse_features(page: Page, features: Mapping[str, object]) -> None:
    """Raises Problem 422 for features that the version cannot use, whoever they are of."""
    try:
        prior_of(page.snapshot.artifact, features)
    except QueryError as error:
        raise invalid(f"user_features: {error}") from None


def _is_quick(page: Page, n_own: int) -> bool:
    """Whether the list, from which so many own items are left out, is made faster than another thread is woken."""
    if page.snapshot.index.exact or not page.plain:
        return False
    return page.k + n_own + len(page.snapshot.hidden) <= _QUICK_REACH

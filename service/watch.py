"""The look around, every second or so: has CURRENT moved, have items, keys or the experiment changed?

A registry by URL may take long to answer, or to send a version. The look around does not wait for that longer than
until the next one: what was said about items, and keys, count meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from service.auth import Keyring
from service.context import Context
from service.errors import Problem
from service.logs import AccessLog

_FIRST_SECONDS = 5.0  # how long the start waits for the registry, before it answers probes without a model

_log = logging.getLogger(__name__)


class Watch:
    """Keeps one worker up to date. Every worker has its own: none depends on being told."""

    def __init__(self, context: Context, keyring: Keyring, log: AccessLog) -> None:
        self._context = context
        self._keyring = keyring
        self._access_log = log
        self._task: asyncio.Task[None] | None = None
        self._seeking: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Take a first look, so that a published model answers at once; then go on looking."""
        await self._look(_FIRST_SECONDS)
        self._task = asyncio.create_task(self._keep_looking())

    async def look(self) -> None:
        """Take over what has changed by now, however long the registry takes. Requests go on meanwhile."""
        if self._seeking is not None:
            await asyncio.wait({self._seeking})  # it may have asked before what has changed by now
        await self._look(None)

    async def _look(self, patience: float | None) -> None:
        context, live = self._context, self._context.live
        await live.look()
        if live.never_read and not context.store.is_ready:  # who was erased, and what is hidden, is unknown
            context.store.failure = live.failure
            context.lifecycle.started = True
        else:
            candidate = None if live.experiment is None else live.experiment.candidate
            if self._seeking is None or self._seeking.done():
                self._seeking = _in_thread(lambda: context.store.seek(candidate))
            await asyncio.wait({self._seeking}, timeout=patience)
            await asyncio.to_thread(context.store.refresh, candidate, dict(live.items))
            if self._seeking.done():
                self._seeking.result()
                context.lifecycle.started = True
        await asyncio.to_thread(context.losses.look)
        context.pages.masks.forget_all_but(context.store.versions())
        if self._keyring.refresh():
            _log.info("API keys taken over from the changed file")
        context.intake.note_backlog()
        context.metrics.event_seen.set(live.asked_at)
        await self._note_exposures()

    async def stop(self) -> None:
        """Stop looking; write what is buffered."""
        if self._task is not None:
            self._task.cancel()
        await self._note_exposures()
        self._context.intake.close()
        self._context.answers.close()
        self._context.records.close()
        self._access_log.flush()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._context.settings.poll_seconds)
            try:
                await self._look(self._context.settings.poll_seconds)
            except Exception:
                _log.exception("the look around failed; trying again")

    async def _note_exposures(self) -> None:
        shown = self._context.pages.assignment.take_shown()
        if shown.lists:
            try:
                await asyncio.to_thread(self._context.records.expose, shown)
            except Problem as problem:
                _log.error("%d exposures are lost: %s", len(shown.lists), problem.detail)


def _in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """Do the work in a thread that the process does not wait for when it ends, as it would for a pool's."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not future.done():
            future.set_exception(error) if error else future.set_result(None)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="seek", daemon=True).start()
    return future

"""The look around, every second or so: has CURRENT moved, have items, keys or the experiment changed?"""

from __future__ import annotations

import asyncio
import logging

from service.auth import Keyring
from service.context import Context
from service.errors import Problem
from service.logs import AccessLog

_log = logging.getLogger(__name__)


class Watch:
    """Keeps one worker up to date. Every worker has its own: none depends on being told."""

    def __init__(self, context: Context, keyring: Keyring, log: AccessLog) -> None:
        self._context = context
        self._keyring = keyring
        self._access_log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take a first look, so that a published model answers at once; then go on looking."""
        await self.look()
        self._context.lifecycle.started = True
        self._task = asyncio.create_task(self._keep_looking())

    async def look(self) -> None:
        """Take over what changed. Versions are read in a thread, so requests go on meanwhile."""
        context, live = self._context, self._context.live
        await live.look()
        if live.never_read and not context.store.is_ready:  # who was erased, and what is hidden, is unknown
            context.store.failure = live.failure
        else:
            candidate = None if live.experiment is None else live.experiment.candidate
            await asyncio.to_thread(context.store.refresh, candidate, dict(live.items))
        context.pages.masks.forget_all_but(context.store.versions())
        if self._keyring.refresh():
            _log.info("API keys taken over from the changed file")
        context.intake.note_backlog()
        context.metrics.event_seen.set(live.refreshed_at)
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
                await self.look()
            except Exception:
                _log.exception("the look around failed; trying again")

    async def _note_exposures(self) -> None:
        shown = self._context.pages.assignment.take_shown()
        if shown:
            try:
                await asyncio.to_thread(self._context.records.expose, shown)
            except Problem as problem:
                _log.error("%d exposures are lost: %s", len(shown), problem.detail)

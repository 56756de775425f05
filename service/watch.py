"""The look around, every second or so: has CURRENT moved, have the keys changed?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from service.auth import Keyring
from service.context import Context
from service.logs import AccessLog

_log = logging.getLogger(__name__)


class Watch:
    """Keeps one worker up to date. Every worker has its own: none depends on being told."""

    def __init__(self, context: Context, keyring: Keyring, log: AccessLog) -> None:
        self._context = context
        self._keyring = keyring
        self._access_log = log

    async def start(self) -> Coroutine[Any, Any, None]:
        """Take a first look, so that a published model answers at once; returns the rest."""
        await self.look()
        self._context.lifecycle.started = True
        return self._keep_looking()

    async def look(self) -> None:
        """Take over what changed. Reads in a thread, so requests go on meanwhile."""
        await asyncio.to_thread(self._context.store.refresh)
        if self._keyring.refresh():
            _log.info("API keys taken over from the changed file")

    async def stop(self) -> None:
        """Write what is buffered."""
        self._access_log.flush()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._context.settings.poll_seconds)
            try:
                await self.look()
            except Exception:
                _log.exception("the look around failed; trying again")

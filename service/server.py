"""The web server around the app: heads that never end are cut off, and SIGTERM drains before it stops."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import logs
from service.app import create_app
from service.lifecycle import Lifecycle
from service.settings import Settings


def serve(settings: Settings, listener: socket.socket) -> None:
    """Answer on this socket until a signal says stop."""
    logs.configure(settings.log_level)
    lifecycle = Lifecycle()
    config = uvicorn.Config(
        create_app(settings, lifecycle),
        http=_protocol(settings.header_timeout),
        loop="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=settings.finish_seconds,
    )
    _Server(config, lifecycle, settings.drain_seconds).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Answers on for a while after SIGTERM, with readiness off, so that load balancers look away first."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self._stop_at is None and self._drain_seconds:
            self._lifecycle.draining = True
            self._stop_at = time.monotonic() + self._drain_seconds
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def _protocol(header_timeout: float) -> type[HttpToolsProtocol]:
    class TimedProtocol(HttpToolsProtocol):
        """Closes a connection whose first request's head does not arrive in time.

        Between requests the keep-alive limit counts; a later head that stalls is caught by the same timer,
        which starts again with each first byte.
        """

        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._expect_head()

        def on_headers_complete(self) -> None:
            self._head_arrived()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_arrived()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(header_timeout, self.timeout_keep_alive_handler)

        def _head_arrived(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return TimedProtocol

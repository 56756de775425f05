"""The web server around the app: its settings, and a SIGTERM that drains before it stops."""

from __future__ import annotations

import gc
import signal
import socket
import time
from types import FrameType

import uvicorn

from service import logs
from service.app import create_app
from service.lifecycle import Lifecycle
from service.protocol import protocol
from service.settings import Settings


def serve(settings: Settings, listener: socket.socket) -> None:
    """Answer on this socket until a signal says stop."""
    logs.configure(settings.log_level)
    lifecycle = Lifecycle()
    config = uvicorn.Config(
        create_app(settings, lifecycle),
        http=protocol(settings.header_timeout),
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is there by now stays: no collection needs to look at it again

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

"""Several worker processes on one socket: what they share, before any of them starts."""

from __future__ import annotations

import os
import socket
import tempfile

from service import logs
from service.settings import SHARED_METRICS, Settings

_SHARED_MEMORY = "/dev/shm"


def supervise(settings: Settings, listener: socket.socket) -> int:
    """Run the workers until a signal comes; returns the exit code. See `Workers`."""
    logs.configure(settings.log_level)
    with tempfile.TemporaryDirectory(prefix="cml-metrics-", dir=_in_memory()) as metrics:
        os.environ[SHARED_METRICS] = metrics
        # Only now: the metrics' library reads the variable when it is imported.
        from service.workers import Workers

        return Workers(settings, listener).run()


def _in_memory() -> str | None:
    """Where files need no disk, so that workers start and count also when there is no room on one."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None

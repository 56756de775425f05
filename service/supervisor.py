"""Several worker processes on one socket: started, replaced when they die, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import FrameType

from service import logs
from service.metrics import SHARED_DIRECTORY, forget_process
from service.settings import Settings

_TICK = 0.2
_SHARED_MEMORY = "/dev/shm"
_SICK_SECONDS = 1.0  # a worker that is killed younger than this will not get better by trying again
_SETTLED_SECONDS = 15.0  # a worker of this age has come through its start
_log = logging.getLogger(__name__)


def supervise(settings: Settings, listener: socket.socket) -> int:
    """Run the workers until a signal comes; returns the exit code.

    One that dies is replaced. While none has come through its start, one that dies at once or gives up by itself
    (its code says so, its last line why) stops all; later the others answer, and it is tried again.
    """
    logs.configure(settings.log_level)
    with tempfile.TemporaryDirectory(prefix="cml-metrics-", dir=_in_memory()) as metrics:
        os.environ[SHARED_DIRECTORY] = metrics
        return _Workers(settings, listener).run()


def _in_memory() -> str | None:
    """Where files need no disk, so that workers start and count also when there is no room on one."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


class _Workers:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._count = settings.workers
        self._listener = listener
        self._environment = os.environ | settings.to_environment()
        self._patience = settings.drain_seconds + settings.finish_seconds + 2.0
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._signal: int | None = None

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for _ in range(self._count):
            self._start()
        code = 0
        while self._signal is None and code == 0:
            time.sleep(_TICK)
            code = self._replace_the_dead()
        self._stop()
        return code

    def _start(self) -> None:
        descriptor = self._listener.fileno()
        command = [sys.executable, "-m", "service", "--descriptor", str(descriptor)]
        process = subprocess.Popen(command, env=self._environment, pass_fds=[descriptor])
        self._running[process.pid] = process, time.monotonic()

    def _replace_the_dead(self) -> int:
        for pid, (process, since) in list(self._running.items()):
            code = process.poll()
            if code is None or self._signal is not None:
                continue
            del self._running[pid]
            forget_process(pid)
            gave_up = code > 0 or time.monotonic() - since < _SICK_SECONDS
            if gave_up and not self._any_settled():
                _log.error("worker %d ended with code %d at its start; stopping", pid, code)
                return code if code > 0 else 1
            _log.warning("worker %d ended with code %d; starting another", pid, code)
            self._start()
        return 0

    def _any_settled(self) -> bool:
        return any(time.monotonic() - since > _SETTLED_SECONDS for _, since in self._running.values())

    def _stop(self) -> None:
        for process, _ in self._running.values():
            process.send_signal(self._signal or signal.SIGTERM)
        deadline = time.monotonic() + self._patience
        for process, _ in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number

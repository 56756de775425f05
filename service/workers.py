"""Worker processes: forked from one that has everything imported, replaced when they die, stopped together."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from multiprocessing.context import ForkProcess
from types import FrameType

from service.metrics import forget_process
from service.reasons import exit_with_reason
from service.server import serve
from service.settings import Settings

_TICK = 0.2
_SICK_SECONDS = 1.0  # a worker that is killed younger than this will not get better by trying again
_SETTLED_SECONDS = 15.0  # a worker of this age has come through its start
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


class Workers:
    """As many workers as the settings say.

    One that dies is replaced. While none has come through its start, one that dies at once or gives up by itself
    (its code says so, its last line why) stops all; later the others answer, and it is tried again.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._patience = settings.drain_seconds + settings.finish_seconds + 2.0
        self._running: list[tuple[ForkProcess, float]] = []
        self._signal: int | None = None

    def run(self) -> int:
        """Until a signal comes; returns the exit code."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        # Pages that a collection does not touch stay shared: modules and code are half of a worker's memory.
        gc.collect()
        gc.freeze()
        for _ in range(self._settings.workers):
            self._start()
        code = 0
        while self._signal is None and code == 0:
            time.sleep(_TICK)
            code = self._replace_the_dead()
        self._stop()
        return code

    def _start(self) -> None:
        process = multiprocessing.get_context("fork").Process(
            target=_work, args=(self._settings, self._listener), daemon=True
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the worker has handlers of its own
        process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._running.append((process, time.monotonic()))

    def _replace_the_dead(self) -> int:
        for process, since in list(self._running):
            code = process.exitcode
            if code is None or self._signal is not None:
                continue
            self._running.remove((process, since))
            assert process.pid is not None
            forget_process(process.pid)
            gave_up = code > 0 or time.monotonic() - since < _SICK_SECONDS
            if gave_up and not self._any_settled():
                _log.error("worker %d ended with code %d at its start; stopping", process.pid, code)
                return code if code > 0 else 1
            _log.warning("worker %d ended with code %d; starting another", process.pid, code)
            self._start()
        return 0

    def _any_settled(self) -> bool:
        return any(time.monotonic() - since > _SETTLED_SECONDS for _, since in self._running)

    def _stop(self) -> None:
        for process, _ in self._running:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, self._signal or signal.SIGTERM)
        deadline = time.monotonic() + self._patience
        for process, _ in self._running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number


def _work(settings: Settings, listener: socket.socket) -> None:
    """A worker's life, in its own process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    exit_with_reason(lambda: serve(settings, listener))

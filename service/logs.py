"""Structured logs: one JSON object a line on standard error. Never a key, a body, a path or a user's id."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import suppress
from typing import Any

import orjson

_FLUSH_SECONDS = 0.1
_LONGEST_BUFFER = 512  # lines


def configure(level: str) -> None:
    """Send everything that is logged in this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # the access log below says more


class AccessLog:
    """A line for each answered request. Lines are written in bunches, at most 0.1 s later.

    Use it on the event loop's thread. A disabled log costs one test.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._lines: list[str] = []
        self._ends: dict[tuple[str, str, int, str], str] = {}  # few: templates and key ids, never paths

    def add(self, request_id: str, method: str, route: str, status: int, seconds: float, key: str) -> None:
        """Note one request by its route template: the path itself may hold a user's id.

        `request_id` has no characters that JSON would escape.
        """
        if not self._enabled:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        what = (method, route, status, key)
        end = self._ends.get(what)
        if end is None:
            end = self._ends[what] = _end_of_line(*what)
        self._lines.append(
            f'{{"time":{time.time():.3f},"milliseconds":{seconds * 1e3:.3f},"request_id":"{request_id}",{end}'
        )
        if len(self._lines) >= _LONGEST_BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what is there. Lines that find no room, as on a full disk, are lost: answers do not wait for them."""
        lines, self._lines = self._lines, []
        if lines:
            with suppress(OSError):
                sys.stderr.write("".join(lines))
                sys.stderr.flush()


def _end_of_line(method: str, route: str, status: int, key: str) -> str:
    """What many lines have in common: the fields after the first ones."""
    values = {"level": "info", "message": "request", "method": method, "route": route, "status": status}
    return orjson.dumps(values | {"key": key}, option=orjson.OPT_APPEND_NEWLINE).decode()[1:]


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        request_id = getattr(record, "request_id", None)
        if request_id:
            values["request_id"] = request_id
        return orjson.dumps(values).decode()

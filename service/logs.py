"""Structured logs: one JSON object a line on standard error. Never a key, a body, a path or a user's id."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
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
        self._lines: list[dict[str, Any]] = []

    def add(self, request_id: str, method: str, route: str, status: int, seconds: float, key: str) -> None:
        """Note one request by its route template: the path itself may hold a user's id."""
        if not self._enabled:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._lines.append(
            {
                "time": time.time(),
                "level": "info",
                "message": "request",
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": seconds * 1e3,
                "key": key,
            }
        )
        if len(self._lines) >= _LONGEST_BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what is there."""
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.write("".join(_line(line) for line in lines))
            sys.stderr.flush()


def _line(values: dict[str, Any]) -> str:
    rounded = values | {"time": round(values["time"], 3), "milliseconds": round(values["milliseconds"], 3)}
    return orjson.dumps(rounded, option=orjson.OPT_APPEND_NEWLINE).decode()


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

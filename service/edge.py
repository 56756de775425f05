"""The outermost layer: what every request meets before and after its route, without framework cost.

Request id, key, rate, body size and time, answer time, headers, metrics, log. Routes behind it see only
requests that are allowed and complete. One cheap place instead of a stack of middlewares.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from service import paths
from service.auth import ANYONE, WRITE, Keyring, required_scope
from service.errors import MEDIA_TYPE, Problem, internal_error, too_large
from service.limits import RateLimit
from service.logs import AccessLog
from service.metrics import Metrics
from service.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
# A shortcut answers the few routes where every microsecond counts, given the body where there is one: route
# template and JSON, or None to leave the request to its route.
Shortcut = Callable[[Scope, bytes], Awaitable[tuple[str, bytes] | None]]

UNMATCHED = "unmatched"  # the route label of requests that no route answers
_INTERESTING = frozenset((b"authorization", b"x-request-id", b"content-length"))
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_JSON_HEADERS = [(b"content-type", b"application/json"), *_HEADERS]
_GOOD_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,64}")
_log = logging.getLogger(__name__)


class Edge:
    """ASGI app around the routes. Raises nothing: whatever happens becomes a problem document."""

    def __init__(
        self,
        app: App,
        shortcut: Shortcut,
        *,
        settings: Settings,
        keyring: Keyring,
        metrics: Metrics,
        log: AccessLog,
    ) -> None:
        self._app = app
        self._shortcut = shortcut
        self._settings = settings
        self._keyring = keyring
        self._limit = RateLimit(settings.rate_limit / settings.workers, settings.rate_burst, time.monotonic)
        self._metrics = metrics
        self._log = log
        self._prefix = os.urandom(6).hex()
        self._counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send)
        headers = {name: value for name, value in scope["headers"] if name in _INTERESTING}
        request_id = self._request_id(headers.get(b"x-request-id"))
        scope["request_id"] = exchange.request_id = request_id
        try:
            await self._answer(scope, headers, receive, exchange)
        except Problem as problem:
            await exchange.fail(problem)
        except Exception:
            _log.exception("request failed", extra={"request_id": request_id})
            if not exchange.complete:
                await exchange.fail(internal_error())
        finally:
            self._note(scope, exchange)

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, exchange: _Exchange
    ) -> None:
        method = scope["method"]
        scope["path"] = path = paths.decode(scope.get("raw_path") or scope["path"].encode())
        key = self._keyring.authorise(headers.get(b"authorization"), required_scope(method, path))
        exchange.key = key
        if key is not ANYONE or path.startswith("/v1/"):
            self._limit.take(key if key is not ANYONE else str((scope.get("client") or ("",))[0]))
        body = b""
        if method in ("POST", "PUT", "PATCH"):
            body = await self._body(headers, receive)
            receive = replay(body, receive)
        shortcut = await self._shortcut(scope, body)
        if shortcut is not None:
            exchange.route, answer = shortcut
            await exchange.json(answer)
            return
        try:
            async with asyncio.timeout(self._settings.answer_timeout) as limit:
                await self._app(scope, receive, self._going_on(exchange, limit))
        except TimeoutError:
            raise _too_slow(self._settings.answer_timeout, required_scope(method, path) == WRITE) from None

    def _going_on(self, exchange: _Exchange, limit: asyncio.Timeout) -> Send:
        """`exchange.send` that gives a streamed answer its time anew with each part that the client took."""
        now = asyncio.get_running_loop().time

        async def send(message: Message) -> None:
            await exchange.send(message)
            if message.get("more_body", False):
                limit.reschedule(now() + self._settings.answer_timeout)

        return send

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, or a Problem: routes never wait for a slow client nor see an endless one."""
        limit = self._settings.max_body
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _gone()
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > limit:
                        raise too_large(limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise _slow_body(self._settings.body_timeout) from None
        return b"".join(chunks)

    def _request_id(self, given: bytes | None) -> str:
        if given is not None and _GOOD_REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._prefix}-{next(self._counter):x}"

    def _note(self, scope: Scope, exchange: _Exchange) -> None:
        route = exchange.route or str(getattr(scope.get("route"), "path_format", UNMATCHED))
        seconds = time.perf_counter() - exchange.began
        self._metrics.observe(scope["method"], route, exchange.status, seconds)
        self._log.add(exchange.request_id, scope["method"], route, exchange.status, seconds, exchange.key)


class _Exchange:
    """One request's way out: adds the headers that every answer has, and knows what was answered."""

    __slots__ = ("_send", "began", "complete", "key", "request_id", "route", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = time.perf_counter()
        self.status = 0
        self.complete = False
        self.route: str | None = None
        self.key = ANYONE
        self.request_id = ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            own = {name for name, _ in given}
            message["headers"] = [*given, *(header for header in self._extra() if header[0] not in own)]
        else:
            self.complete = not message.get("more_body", False)
        await self._send(message)

    async def json(self, body: bytes) -> None:
        self.status = 200
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode("ascii")),
            *_JSON_HEADERS,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def fail(self, problem: Problem) -> None:
        if self.status:  # the answer is under way: all that can be done is to cut it short
            raise ConnectionAbortedError(problem.detail)
        body = problem.body(self.request_id)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode()) for name, value in problem.headers.items()),
            *self._extra(),
        ]
        self.status = problem.status
        await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _extra(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-request-id", self.request_id.encode("ascii")), *_HEADERS]


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body already read, then whatever the original says."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _too_slow(seconds: float, writes: bool) -> Problem:
    remedy = "it may still be stored; send it again with the same ids" if writes else "ask for less at once"
    detail = f"the answer took longer than {seconds:g} s; {remedy}"
    return Problem(503, "too-slow", "Answer took too long", detail, {"retry-after": "1"})


def _slow_body(seconds: float) -> Problem:
    detail = f"the request body did not arrive within {seconds:g} s"
    return Problem(408, "slow-request", "Request took too long", detail, {"connection": "close"})


def _gone() -> Problem:
    return Problem(
        400, "incomplete-request", "Incomplete request", "the client left before its request was complete"
    )

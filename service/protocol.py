"""Our side of each connection: heads that never end and bodies that nobody reads are cut off; answers leave whole."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_HEAD = 1 << 16  # bytes, and what came with one read of the socket
_UNREAD = 1 << 22  # bytes of a body that are still taken after its answer: who sends so few gets to read why


def protocol(header_timeout: float) -> type[HttpToolsProtocol]:
    """The protocol class for the web server; a request's head must arrive within `header_timeout` seconds."""

    class Protocol(HttpToolsProtocol):
        """One connection. Between requests the server's keep-alive limit counts."""

        _awaits_head = True
        _heads = 0  # begun on this connection
        _head_bytes = 0  # of a head that did not end with the data in which it began
        _head_timer: asyncio.TimerHandle | None = None
        _unread = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            heads = self._heads
            super().data_received(data)
            if self._awaits_head:
                self._measure_head(0 if heads != self._heads else self._head_bytes + len(data))
            if self._awaits_head or self._head_timer is not None:
                self._watch_head()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._awaits_head = True
            self._heads += 1
            self._unread = 0

        def on_headers_complete(self) -> None:
            self._awaits_head = False
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            if self.cycle.response_complete:
                self._unread += len(body)
                if self._unread > _UNREAD:
                    self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._awaits_head = False
            self._watch_head()
            super().connection_lost(exc)

        def _measure_head(self, size: int) -> None:
            self._head_bytes = size
            if size > _LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

        def _watch_head(self) -> None:
            """Most heads arrive in one piece and never see a timer."""
            if not self._awaits_head and self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
            elif self._awaits_head and self._head_timer is None:
                self._head_timer = self.loop.call_later(header_timeout, self.timeout_keep_alive_handler)

    return Protocol


class JoinedWrites:
    """A transport that sends what is written during one turn of the event loop with one system call.

    A response is written in two parts, head and body; as two calls they cost as much as all our own work on a
    short answer, and may travel as two packets.
    """

    __slots__ = ("_loop", "_parts", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self.is_closing = transport.is_closing  # asked for each request, so not by way of `__getattr__`

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data before the next turn."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        """Close after everything that was written is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

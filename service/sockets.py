"""Listening sockets, bound before any worker starts: a taken port is told at once and once."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """A bound listening socket; raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener

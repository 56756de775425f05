"""Whether this process is starting, answering or on its way out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """Shared by the server, which sets it, and the probes, which report it."""

    started: bool = False
    draining: bool = False

"""`cml serve`: start the HTTP service."""

from __future__ import annotations

from service.command import command

__all__ = ["command"]

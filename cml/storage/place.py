"""Where a registry is, as one says it on the command line and in settings: a directory or a URL."""

from __future__ import annotations

import re
from pathlib import Path

from cml.errors import RegistryError

Place = Path | str  # a directory, or the text of a URL

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
_MANGLED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_SECRET = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def place_of(given: Path | str) -> Place:
    """A URL as text without a slash at its end; everything else as a path. Raises RegistryError."""
    if isinstance(given, Path):
        if _MANGLED.match(str(given)):  # as a path, a URL has lost one of its slashes
            raise RegistryError(
                f"{given}: a registry's URL must be given as text, not as a path: as such it would become "
                "a directory of that name"
            )
        return given
    if given.startswith("file://"):
        return Path(given.removeprefix("file://"))
    return given.rstrip("/") if _URL.match(given) else Path(given)


def shown(place: Place) -> str:
    """The place for messages, without a password that stands in its URL."""
    return _SECRET.sub(r"\1:***@", str(place))

"""The one place where a registry's place becomes what stores it."""

from __future__ import annotations

from pathlib import Path

from cml.storage.base import Storage
from cml.storage.bucket import Bucket
from cml.storage.cache import Cache
from cml.storage.directory import Directory
from cml.storage.place import Place
from cml.storage.turns import Timing


def storage_at(place: Place, cache: Cache | None = None, timing: Timing | None = None) -> Storage:
    """A directory's or a URL's storage. Raises MissingExtraError, ConfigError, StorageError."""
    if isinstance(place, Path):
        return Directory(place)
    return Bucket(place, cache or Cache.from_environment(), timing or Timing())

"""Versions as objects behind a URL: files first, read back and checked, the manifest last; read through a cache.

URL/versions/000012-3fa9c1d2e4b5/    a version, once its manifest is there
URL/locks/                           whose turn it is (turns.py)
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from cml.durable import replace_file
from cml.errors import ArtifactError, StorageError
from cml.manifest import MANIFEST, FileInfo, file_sha256
from cml.storage.base import VERSIONS, Check, Holding, NoSuchVersionError, Tell
from cml.storage.cache import Cache
from cml.storage.objects import Objects
from cml.storage.turns import Timing, Turns
from cml.versions import pinned

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AT_ONCE = 4  # files up or down
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds after a fetch that failed, before the same one is tried again


class Bucket:
    """A URL as `Storage`."""

    def __init__(
        self, url: str, cache: Cache, timing: Timing, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._objects = Objects(url)
        self._cache = cache
        self._clock = clock
        self.place = self._objects.url
        self._here = sha256(url.encode()).hexdigest()[:16]  # in the cache
        self.workspace = cache.root / self._here / "retraining"
        self._writers = Turns(self._objects, "publishing", timing)
        self._retrainings = Turns(self._objects, "retraining", timing)
        self._holding: Holding = lambda: None
        self._failed: dict[str, tuple[float, int, Exception]] = {}  # until when, how often, why

    def read(self, key: str) -> bytes | None:
        """The content of an object."""
        return self._objects.read(key)

    def replace(self, key: str, content: bytes) -> None:
        """One object is replaced in one step by every store."""
        self._holding()
        self._objects.replace(key, content)

    def versions(self) -> list[str]:
        """Versions whose manifest is there."""
        return _complete_in(self._objects.keys(VERSIONS))

    def has(self, version: str) -> bool:
        """Whether its manifest is there."""
        return self._objects.size(_key(version, MANIFEST)) is not None

    def opened(self, version: str, check: Check | None) -> AbstractContextManager[Path]:
        """The cached copy. One that could not be fetched is fetched again only after a pause, which grows."""
        return self._cache.opened(self._here, version, lambda staging: self._fetch(version, staging), check)

    def verify(self, version: str, files: Mapping[str, FileInfo]) -> None:
        """Read every byte from the store."""
        problems = _at_once(lambda file: self._problem(version, file, files[file]), files)
        found = [problem for problem in problems if problem]
        if found:
            raise ArtifactError(f"{'; '.join(found)}; publish the version again or roll back")

    def add(self, version: str, source: Path, manifest: bytes, files: Mapping[str, FileInfo]) -> None:
        """Files, checked as they arrived; then the manifest, if it is still our turn."""
        _at_once(lambda file: self._objects.put(source / file, _key(version, file), files[file].bytes), files)
        self.verify(version, files)
        self.replace(_key(version, MANIFEST), manifest)

    def remove(self, version: str) -> None:
        """The manifest first: without it there is no version."""
        self._holding()
        self._objects.remove([_key(version, MANIFEST)])
        self._objects.remove(self._objects.keys(f"{VERSIONS}/{version}"))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait for one's turn; versions without a manifest are of writers who died or failed."""
        with self._writers.hold(wait=True, tell=_log.warning) as holding:
            self._holding = holding
            try:
                keys = self._objects.keys(VERSIONS)
                complete = _complete_in(keys)
                self._objects.remove(key for key in keys if key.split("/")[1] not in complete)
                yield
            finally:
                self._holding = lambda: None

    def alone(self, tell: Tell) -> AbstractContextManager[Holding]:
        """The lock `retraining`."""
        return self._retrainings.hold(wait=False, tell=tell)

    def _fetch(self, version: str, staging: Path) -> None:
        until, times, why = self._failed.get(version, (0.0, 0, None))
        if why is not None and self._clock() < until:
            raise type(why)(str(why))
        try:
            self._complete(version, staging)
        except (StorageError, ArtifactError) as error:
            pause = _PAUSES[min(times, len(_PAUSES) - 1)]
            self._failed[version] = self._clock() + pause, times + 1, error
            raise
        self._failed.pop(version, None)

    def _complete(self, version: str, staging: Path) -> None:
        """Bring what is missing of a version's files into a directory."""
        where = self._where(version, MANIFEST)
        raw = self._objects.read(_key(version, MANIFEST))
        if raw is None:
            raise NoSuchVersionError(version)
        files = pinned(raw, version, where).files
        self._cache.make_room(sum(info.bytes for info in files.values()), staging)
        _at_once(lambda file: self._download(version, file, files[file], staging / file), files)
        replace_file(staging / MANIFEST, raw)

    def _download(self, version: str, file: str, info: FileInfo, target: Path) -> None:
        if target.exists() and target.stat().st_size == info.bytes and file_sha256(target) == info.sha256:
            return
        with target.open("wb") as written:
            problem = self._problem(version, file, info, written.write)
            written.flush()
            os.fsync(written.fileno())
        if problem:
            target.unlink()
            raise ArtifactError(f"{problem}; publish the version again or roll back")

    def _problem(
        self, version: str, file: str, expected: FileInfo, use: Callable[[bytes], object] = lambda _: None
    ) -> str | None:
        """What is wrong with an object; its blocks are used as they come in."""
        where, size = self._where(version, file), self._objects.size(_key(version, file))
        if size is None:
            return f"{where}: missing"
        if size != expected.bytes:
            return f"{where}: damaged: {size} bytes instead of {expected.bytes}"
        seen = sha256()
        for block in self._objects.blocks(_key(version, file), size):
            seen.update(block)
            use(block)
        if seen.hexdigest() != expected.sha256:
            return f"{where}: damaged: its checksum does not match the manifest"
        return None

    def _where(self, version: str, file: str) -> str:
        return f"{self.place}/{_key(version, file)}"


def _complete_in(keys: Iterable[str]) -> list[str]:
    """Versions whose manifest is among the keys."""
    parts = (key.split("/") for key in keys)
    return [part[1] for part in parts if part[2:] == [MANIFEST]]


def _key(version: str, file: str) -> str:
    return f"{VERSIONS}/{version}/{file}"


def _at_once(work: Callable[[str], T], files: Iterable[str]) -> list[T]:
    """A few at a time; the first error ends all that have not begun."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(work, file) for file in files]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)

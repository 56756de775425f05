"""Copies of versions on this host, shared by its processes, of bounded size.

    ROOT/PLACE/000012-3fa9c1d2e4b5/    a complete copy; PLACE stands for a registry
    ROOT/PLACE/.staging-*              one being fetched, by whoever has the directory locked; what is there already
                                       is taken up by the next who tries
    ROOT/.lock                         locked by the one who makes room

Whoever opens a copy has its directory locked with others (flock); whoever removes one needs it alone. So nothing is
removed between being found and being mapped, and the kernel drops the locks of the dead.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cml.durable import sync_directory
from cml.errors import ArtifactError, ConfigError, StorageError
from cml.storage.base import Check

DIRECTORY, SIZE = "CML_CACHE_DIR", "CML_CACHE_SIZE"
DEFAULT_SIZE = "10GB"

_STAGING, _GRAVE = ".staging-", ".removed-"
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Cache:
    """Copies below `root`, together at most `limit` bytes, unless what is in use alone takes more."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self.limit = limit

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Cache:
        """The cache that CML_CACHE_DIR and CML_CACHE_SIZE describe. Raises ConfigError."""
        size = environment.get(SIZE) or DEFAULT_SIZE
        found = _SIZE.fullmatch(size)
        if not found:
            raise ConfigError(f"{SIZE}={size}: expected a number of bytes, such as 500MB or 10GB")
        limit = int(float(found[1]) * _FACTORS[found[2].upper()])
        if environment.get(DIRECTORY):
            return cls(Path(environment[DIRECTORY]), limit)
        base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/nonexistent", ".cache")
        return cls(Path(base) / "cml-recommender", limit)

    @contextmanager
    def opened(
        self, place: str, name: str, fill: Callable[[Path], None], check: Check | None
    ) -> Iterator[Path]:
        """The directory of a copy, locked against removal for the block.

        `fill` gets a directory to complete and raises where it cannot; several processes that want one copy let one
        of them fetch it. A copy that `check` refuses is fetched again.
        """
        final = self.root / place / name
        with self._writable():
            lease = _locked(final, fcntl.LOCK_SH)
            if lease is not None and check and not _passes(check, final):
                os.close(lease)
                self._remove(final)
                lease = None
            while lease is None:
                self._fetch(final, fill)
                lease = _locked(final, fcntl.LOCK_SH)
        try:
            with suppress(OSError):
                os.utime(lease)  # when it was last used decides what goes first
            yield final
        finally:
            os.close(lease)

    def make_room(self, needed: int, but: Path) -> None:
        """Remove what was not used for longest until `needed` bytes fit, except `but` and what is in use."""
        with (self.root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.root.glob(f"*/{_GRAVE}*"):
                shutil.rmtree(left, ignore_errors=True)
            copies = sorted(
                (path.stat().st_mtime, _bytes_of(path), path)
                for path in self.root.glob("*/*")
                if path != but
                and path.is_dir()
                and (path.name[:1].isdigit() or path.name.startswith(_STAGING))
            )
            used = sum(size for _, size, _ in copies)
            for _, size, path in copies:
                if used + needed <= self.limit:
                    return
                lease = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lease is not None:
                    self._remove(path)
                    os.close(lease)
                    used -= size

    def _fetch(self, final: Path, fill: Callable[[Path], None]) -> None:
        """Have the copy made, here or by whoever is at it already."""
        staging = final.with_name(_STAGING + final.name)
        staging.mkdir(parents=True, exist_ok=True, mode=0o700)
        lease = _locked(staging, fcntl.LOCK_EX)
        if lease is None:  # renamed or removed by whoever had it
            return
        try:
            if final.is_dir():
                self._remove(staging)
            else:
                fill(staging)
                sync_directory(staging)
                staging.rename(final)
                sync_directory(final.parent)
        finally:
            os.close(lease)

    def _remove(self, path: Path) -> None:
        """Out of sight in one step, then file by file."""
        grave = path.with_name(f"{_GRAVE}{os.getpid()}-{path.name}")
        with suppress(FileNotFoundError):
            path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield
        except OSError as error:
            where = error.filename or self.root
            raise StorageError(
                f"{where}: the local cache cannot be written: {error.strerror or error}; make room there, or say with "
                f"{DIRECTORY} where else it may be"
            ) from error


def _locked(directory: Path, how: int) -> int | None:
    """A descriptor that holds the lock of a directory; None if it is not there, or in use for LOCK_NB."""
    while True:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, how)
            if os.path.samestat(os.fstat(descriptor), directory.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):  # in use; removed or renamed while we waited
            os.close(descriptor)
            return None
        os.close(descriptor)  # another directory has taken its place: once more


def _passes(check: Check, directory: Path) -> bool:
    try:
        check(directory)
    except ArtifactError:
        return False
    return True


def _bytes_of(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total

"""Versions in a local directory: written aside, synced, checked, renamed.

ROOT/versions/000012-3fa9c1d2e4b5/   the files of a version
ROOT/.lock                           locked by the one writer
ROOT/.staging-*                      a version being written; leftovers are removed by the next writer
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cml.durable import (
    move_into_place,
    remove_staged,
    replace_file,
    staged_directory,
    sync_directory,
    write_file,
)
from cml.errors import StorageError
from cml.manifest import MANIFEST, FileInfo, verify_files
from cml.storage.base import VERSIONS, Check, Holding, NoSuchVersionError, Tell
from cml.storage.lock import only_one

_COPY_BLOCK = 1 << 22
_RETRAINING = "retraining"


class Directory:
    """A directory as `Storage`. Readers need no lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = str(root)
        self.workspace = root / _RETRAINING / "run"
        self._versions = root / VERSIONS

    def read(self, key: str) -> bytes | None:
        """The content of a file, None where there is none."""
        path = self.root / key
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None

    def replace(self, key: str, content: bytes) -> None:
        """Write aside, sync, rename."""
        path = self.root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as error:
            raise self._unwritable(error) from error

    def versions(self) -> list[str]:
        """Names of the directories under `versions/`: they have been renamed there."""
        return [path.name for path in self._versions.iterdir()] if self._versions.is_dir() else []

    def has(self, version: str) -> bool:
        """Whether there is such a directory."""
        return (self._versions / version).is_dir()

    @contextmanager
    def opened(self, version: str, check: Check | None) -> Iterator[Path]:
        """The version's directory itself."""
        directory = self._versions / version
        if not directory.is_dir():
            raise NoSuchVersionError(version)
        if check:
            check(directory)
        yield directory

    def verify(self, version: str, files: Mapping[str, FileInfo]) -> None:
        """Compare sizes and checksums. Raises ArtifactError."""
        verify_files(self._versions / version, files)

    def add(self, version: str, source: Path, manifest: bytes, files: Mapping[str, FileInfo]) -> None:
        """Copy aside, sync, check the copy, rename."""
        with staged_directory(self.root) as staging:
            for file in files:
                _copy(source / file, staging / file)
            write_file(staging / MANIFEST, manifest)
            verify_files(staging, files)
            move_into_place(staging, self._versions / version)

    def remove(self, version: str) -> None:
        """Rename away, then remove; who has the files mapped keeps them."""
        with staged_directory(self.root) as grave:
            (self._versions / version).rename(grave / version)
            sync_directory(self._versions)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock of the directory: the kernel drops that of a killed process."""
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            with (self.root / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                remove_staged(self.root)
                yield
        except OSError as error:
            raise self._unwritable(error) from error

    def alone(self, tell: Tell) -> AbstractContextManager[Holding]:
        """Hold `retraining/lock`."""
        return only_one(self.root / _RETRAINING / "lock", tell)

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(f"{self.root}: cannot be written: {error.strerror or error}")


def _copy(source: Path, target: Path) -> None:
    """Copy a file's content and sync it."""
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _COPY_BLOCK)
        writer.flush()
        os.fsync(writer.fileno())

"""What the registry needs of wherever its versions lie. What a version is, and what may happen to it, it decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from cml.manifest import FileInfo

VERSIONS = "versions"

Check = Callable[[Path], None]  # raises ArtifactError for a directory that is not what it should be
Tell = Callable[[str], None]
Holding = Callable[[], None]  # raises LockedError once the lock is somebody else's


class NoSuchVersionError(Exception):
    """There is no complete version of this name."""


class Storage(Protocol):
    """Versions, each complete before it is seen, and small documents, each replaced in one step.

    Keys are relative paths with slashes. Whatever cannot be done raises StorageError, which names place, operation
    and reason.
    """

    place: str  # as messages and commands name it
    workspace: Path  # a directory of this host, for what only an unfinished retraining needs

    def read(self, key: str) -> bytes | None:
        """A document, or a file of a version; None where there is none."""

    def replace(self, key: str, content: bytes) -> None:
        """Give a document this content in one step: readers see the old one or the new one."""

    def versions(self) -> list[str]:
        """Names of what is complete under `versions/`, in no order."""

    def has(self, version: str) -> bool:
        """Whether there is a complete version of this name."""

    def opened(self, version: str, check: Check | None) -> AbstractContextManager[Path]:
        """A local directory with a version's files, which stays for the block; what is mapped in it stays for good.

        Raises NoSuchVersionError, and ArtifactError for a damaged one; `check` judges what lies here already.
        """

    def verify(self, version: str, files: Mapping[str, FileInfo]) -> None:
        """Compare every byte of these files as they are stored. Raises ArtifactError naming the damaged ones."""

    def add(self, version: str, source: Path, manifest: bytes, files: Mapping[str, FileInfo]) -> None:
        """Store a version: its files first, checked, then in one step the name. Only inside `writing`."""

    def remove(self, version: str) -> None:
        """Take a version out of sight in one step, then remove its files. Only inside `writing`."""

    def writing(self) -> AbstractContextManager[None]:
        """Be the only writer, waiting for one's turn; what dead writers left is removed."""

    def alone(self, tell: Tell) -> AbstractContextManager[Holding]:
        """Be the only retraining. Raises LockedError while another one is at work; `tell` hears of a dead one."""

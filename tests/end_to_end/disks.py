"""Disks that run full: a small file system in memory where root may mount one, else a limit on the size of files."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BLOCK = 4096


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    folder: Path

    @property
    def room(self) -> int:
        """Bytes that are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, room: int = 0) -> None:
        """Take room away until at most so many bytes are left."""
        with self._ballast.open("ab", buffering=0) as file:
            while self.room >= room + BLOCK:
                file.write(bytes(BLOCK))

    def clear(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Disk | None]:
    """A disk of so many bytes at `folder`; None where nothing may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Limit:
    """The room for the files of one process that runs: what needs no rights, and what a quota looks like."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._before = resource.prlimit(process, resource.RLIMIT_FSIZE)

    def leave(self, room: int = 0) -> None:
        """No file may grow beyond so many bytes."""
        resource.prlimit(self._process, resource.RLIMIT_FSIZE, (room, self._before[1]))

    def clear(self) -> None:
        """Give the room back."""
        resource.prlimit(self._process, resource.RLIMIT_FSIZE, self._before)

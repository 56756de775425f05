"""Directories and files that are either whole and on disk or not there: written aside, synced, renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

STAGING_PREFIX = ".staging-"


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable; the files themselves are synced by whoever writes them."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of this block tell the path, which the kernel leaves out where a disk is full."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_file(path: Path, content: bytes) -> None:
    """Create a new file with this content, synced. Its name is durable once the directory is synced."""
    with naming(path), path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Give `path` this content in one step: a reader, or a crash, sees the old content or the new one."""
    with staged_file(path, mode=0o644) as file:
        file.write(content)


@contextmanager
def staged_file(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file to fill, by default readable by its owner only, that takes `path`'s place in one step at the end.

    If the block raises, `path` stays as it was. An OSError names the path.
    """
    with naming(path):
        descriptor, name = tempfile.mkstemp(prefix=STAGING_PREFIX, dir=path.parent)
        staged = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            staged.rename(path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


@contextmanager
def staged_directory(parent: Path) -> Iterator[Path]:
    """A fresh directory to fill under `parent`; whatever is still at that place afterwards is removed.

    Move it to its name with `move_into_place` inside the block.
    """
    staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent))
    staging.chmod(0o755)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def move_into_place(staging: Path, target: Path) -> None:
    """Sync a filled staging directory and rename it to a target that must not exist yet."""
    sync_directory(staging)
    staging.rename(target)
    sync_directory(target.parent)


def remove_staged(parent: Path) -> None:
    """Remove what dead writers left under `parent`; for callers who know that no writer is at work."""
    for leftover in parent.glob(f"{STAGING_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)

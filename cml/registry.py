"""The model registry: immutable version directories and one pointer to the current one.

    ROOT/versions/000012-3fa9c1d2e4b5/   an artifact; the name ends in the beginning of its manifest's SHA-256
    ROOT/CURRENT                         the current version's name and a newline
    ROOT/.lock                           locked by the one writer
    ROOT/.staging-*                      a version being written; leftovers are removed by the next writer

The pointer is replaced last and in one step, so whatever happens before leaves readers where they were.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from cml import artifact
from cml.artifact import Artifact
from cml.durable import (
    move_into_place,
    remove_staged,
    replace_file,
    staged_directory,
    sync_directory,
    write_file,
)
from cml.errors import ArtifactError, RegistryError
from cml.manifest import MANIFEST, Manifest, parse_manifest, verify_files

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_NAME = re.compile(r"(\d{6,})-([0-9a-f]{12})")
_COPY_BLOCK = 1 << 22


class Registry:
    """Versions under one directory. Readers need no lock; writers take turns. Raises RegistryError for a URL."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        # As a path, a URL has lost one of its slashes, and would become a directory of that name.
        if _URL.match(str(root)):
            raise RegistryError(
                f"{root}: a registry is a directory, not a URL; mount the bucket, or copy versions with its own tools"
            )
        self._versions = self.root / "versions"
        self._pointer = self.root / "CURRENT"

    def versions(self) -> list[str]:
        """Names of all complete versions, oldest first."""
        if not self._versions.is_dir():
            return []
        names = (path.name for path in self._versions.iterdir() if _NAME.fullmatch(path.name))
        return sorted(names, key=_number)

    def current(self) -> str | None:
        """Name of the current version, None when nothing is published. Raises RegistryError if broken."""
        try:
            name = self._pointer.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{self._pointer}: cannot be read: {error}; {self._way_out()}") from None
        try:
            self.path(name)
        except RegistryError:
            problem = f"names {name!r}, which is no version here"
            raise RegistryError(f"{self._pointer}: {problem}; {self._way_out()}") from None
        return name

    def path(self, version: str) -> Path:
        """Directory of a version. Raises RegistryError when there is none of that name."""
        directory = self._versions / version
        if not _NAME.fullmatch(version) or not directory.is_dir():
            known = ", ".join(self.versions()[-3:]) or "none"
            raise RegistryError(f"{self.root}: no version {version!r}; the latest are: {known}")
        return directory

    def load(self, version: str | None = None, *, verify: bool = True) -> Artifact:
        """The artifact of a version (default: the current one), memory-mapped. Raises CmlError."""
        directory = self.path(version or self.require_current())
        if verify:
            self.verify(directory.name)
        return artifact.load(directory, verify=False)

    def require_current(self) -> str:
        """Name of the current version. Raises RegistryError when nothing is published."""
        name = self.current()
        if name is None:
            raise RegistryError(
                f"{self.root}: no model is published; run: cml models publish RUN --to {self.root}"
            )
        return name

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version, the manifest against the version's name. Raises ArtifactError."""
        directory = self.path(version)
        raw = _read(directory / MANIFEST)
        if sha256(raw).hexdigest()[:12] != version.partition("-")[2]:
            raise ArtifactError(
                f"{directory / MANIFEST}: damaged: its checksum does not match the version's name; "
                "publish the version again or roll back"
            )
        manifest = parse_manifest(raw, directory / MANIFEST)
        verify_files(directory, manifest.files)
        return manifest

    def publish(self, directory: Path, *, activate: bool = True) -> str:
        """Copy an artifact into the registry and make it current; returns its version name.

        An artifact that is already there is only made current. `activate=False` leaves the pointer alone.
        Raises ArtifactError for a damaged artifact, RegistryError when the registry cannot be written.
        """
        source = Path(directory)
        raw = _read(source / MANIFEST)
        manifest = parse_manifest(raw, source / MANIFEST)
        verify_files(source, manifest.files)
        digest = sha256(raw).hexdigest()[:12]
        with self._writing():
            name = self._intact_version(digest) or self._add(source, raw, manifest, digest)
            if activate:
                replace_file(self._pointer, f"{name}\n".encode())
        return name

    def set_current(self, version: str) -> None:
        """Make a version current after checking every byte of it. Raises RegistryError, ArtifactError."""
        self.verify(version)
        with self._writing():
            replace_file(self._pointer, f"{version}\n".encode())

    def rollback(self) -> str:
        """Make the version before the current one current; returns its name. Raises RegistryError."""
        current, previous = self.require_current(), self.previous()
        if previous is None:
            raise RegistryError(
                f"{self.root}: {current} is the oldest version; there is nothing to roll back to"
            )
        self.set_current(previous)
        return previous

    def previous(self) -> str | None:
        """The newest version older than the current one: where a rollback leads."""
        current = self.current()
        older = [name for name in self.versions() if current and _number(name) < _number(current)]
        return older[-1] if older else None

    def remove(self, versions: Iterable[str]) -> list[str]:
        """Remove versions, but never the current one and the one before; returns the names of those removed."""
        with self._writing():
            kept = {self.current(), self.previous()}
            doomed = [name for name in versions if name not in kept]
            for name in doomed:
                self._remove(name)
        return doomed

    def _way_out(self) -> str:
        """What to do about a broken pointer."""
        known = ", ".join(self.versions()[-3:]) or "none"
        return (
            f"make a version current with: cml models rollback --to VERSION --models {self.root} "
            f"(the latest are: {known})"
        )

    def _add(self, source: Path, raw: bytes, manifest: Manifest, digest: str) -> str:
        newest = self.versions()[-1:]
        name = f"{(_number(newest[0]) if newest else 0) + 1:06d}-{digest}"
        with staged_directory(self.root) as staging:
            for file in manifest.files:
                _copy(source / file, staging / file)
            write_file(staging / MANIFEST, raw)
            verify_files(staging, manifest.files)
            move_into_place(staging, self._versions / name)
        return name

    def _intact_version(self, digest: str) -> str | None:
        """The version with this manifest, if it is there and undamaged."""
        for name in reversed(self.versions()):
            if name.endswith(digest):
                try:
                    self.verify(name)
                except ArtifactError:
                    continue
                return name
        return None

    def _remove(self, name: str) -> None:
        """Take a version out of sight in one step, then remove its files; who has them mapped keeps them."""
        with staged_directory(self.root) as grave:
            self.path(name).rename(grave / name)
            sync_directory(self._versions)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer, and clean up after dead ones: the kernel drops the lock of a killed process."""
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            with (self.root / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                remove_staged(self.root)
                yield
        except OSError as error:
            problem = f"cannot be written: {error.strerror or error}"
            raise RegistryError(f"{self.root}: {problem}; the current version is {self.current()}") from error


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror or error}; this is not a complete artifact") from None


def _copy(source: Path, target: Path) -> None:
    """Copy a file's content and sync it."""
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _COPY_BLOCK)
        writer.flush()
        os.fsync(writer.fileno())

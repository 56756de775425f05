"""The model registry: immutable versions and one pointer to the current one, in a directory or behind a URL.

    versions/000012-3fa9c1d2e4b5/   an artifact; the name ends in the beginning of its manifest's SHA-256
    CURRENT                         the current version's name and a newline

The pointer is replaced last and in one step, so whatever happens before leaves readers where they were. How a version
becomes visible in one step, and how writers take turns, is the storage's affair (`cml/storage/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from cml import artifact
from cml.artifact import Artifact
from cml.errors import ArtifactError, RegistryError, StorageError
from cml.manifest import MANIFEST, Manifest, parse_manifest, verify_files
from cml.storage.base import VERSIONS, Check, Holding, NoSuchVersionError, Tell
from cml.storage.cache import Cache
from cml.storage.choose import storage_at
from cml.storage.place import Place, place_of
from cml.storage.turns import Timing
from cml.versions import check_directory, digest_of, is_name, named, number_of, pinned, read_raw

POINTER = "CURRENT"


class Registry:
    """Versions at a place. Readers need no lock; writers take turns. Raises CmlError for a place that cannot be one.

    cache, timing: of a registry by URL, else as the environment says.
    """

    def __init__(self, place: Place, *, cache: Cache | None = None, timing: Timing | None = None) -> None:
        self.root = place_of(place)
        self._storage = storage_at(self.root, cache, timing)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self._storage.place

    @property
    def workspace(self) -> Path:
        """A directory of this host for an unfinished retraining."""
        return self._storage.workspace

    def versions(self) -> list[str]:
        """Names of all complete versions, oldest first."""
        return sorted(filter(is_name, self._storage.versions()), key=number_of)

    def current(self) -> str | None:
        """Name of the current version, None when nothing is published. Raises RegistryError if broken."""
        raw = self._storage.read(POINTER)
        if raw is None:
            return None
        where = f"{self.place}/{POINTER}"
        try:
            name = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise RegistryError(f"{where}: cannot be read: {error}; {self._way_out()}") from None
        if not is_name(name) or not self._storage.has(name):
            raise RegistryError(f"{where}: names {name!r}, which is no version here; {self._way_out()}")
        return name

    def path(self, version: str) -> Path:
        """Directory with a version's files: by URL, a copy that may go when room is needed. Raises RegistryError."""
        with self._opened(version, None) as directory:
            return directory

    def manifest(self, version: str) -> Manifest:
        """The manifest of a version, without the rest of it. Raises RegistryError, ArtifactError."""
        self.require(version)
        return parse_manifest(*self._raw_manifest(version))

    def load(self, version: str | None = None, *, verify: bool = True) -> Artifact:
        """The artifact of a version (default: the current one), memory-mapped. Raises CmlError."""
        name = version or self.require_current()
        check = (lambda directory: check_directory(directory, name)) if verify else None
        with self._opened(name, check) as directory:
            return artifact.load(directory, verify=False)

    def require_current(self) -> str:
        """Name of the current version. Raises RegistryError when nothing is published."""
        name = self.current()
        if name is None:
            raise RegistryError(
                f"{self.place}: no model is published; run: cml models publish RUN --to {self.place}"
            )
        return name

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version as it is stored, the manifest against the version's name.

        Raises ArtifactError.
        """
        self.require(version)
        raw, where = self._raw_manifest(version)
        manifest = pinned(raw, version, where)
        self._storage.verify(version, manifest.files)
        return manifest

    def publish(self, directory: Path, *, activate: bool = True) -> str:
        """Copy an artifact into the registry and make it current; returns its version name.

        An artifact that is already there is only made current. `activate=False` leaves the pointer alone.
        Raises ArtifactError for a damaged artifact, RegistryError when the registry cannot be written.
        """
        source = Path(directory)
        raw = read_raw(source / MANIFEST)
        manifest = parse_manifest(raw, source / MANIFEST)
        verify_files(source, manifest.files)
        with self._writing():
            name = self._intact_version(digest_of(raw)) or self._add(source, raw, manifest)
            if activate:
                self._point_to(name)
        return name

    def set_current(self, version: str) -> None:
        """Make a version current after checking every byte of it. Raises RegistryError, ArtifactError."""
        self.verify(version)
        with self._writing():
            self.require(version)  # nobody removed it since
            self._point_to(version)

    def rollback(self) -> str:
        """Make the version before the current one current; returns its name. Raises RegistryError."""
        current, previous = self.require_current(), self.previous()
        if previous is None:
            raise RegistryError(
                f"{self.place}: {current} is the oldest version; there is nothing to roll back to"
            )
        self.set_current(previous)
        return previous

    def previous(self) -> str | None:
        """The newest version older than the current one: where a rollback leads."""
        return next(iter(self._older()), None)

    def fallback(self) -> str | None:
        """The newest undamaged version older than the current one: what must stay to go back to. Reads every byte."""
        return next((name for name in self._older() if self._is_intact(name)), None)

    def remove(self, versions: Sequence[str]) -> list[str]:
        """Remove versions, but never the current one and the `fallback`; returns the names of those removed."""
        if not versions:
            return []  # nothing is written, or a directory made, for nothing
        with self._writing():
            kept = {self.current(), self.fallback()}
            doomed = [name for name in versions if name not in kept]
            for name in doomed:
                self.require(name)
                self._storage.remove(name)
        return doomed

    def read(self, key: str) -> bytes | None:
        """A document beside the versions, such as `retraining/report.json`; None where there is none."""
        return self._storage.read(key)

    def write(self, key: str, content: bytes) -> None:
        """Give a document beside the versions this content, in one step. Raises StorageError."""
        self._storage.replace(key, content)

    def alone(self, tell: Tell) -> AbstractContextManager[Holding]:
        """Be the only retraining for the block, which may ask whether it still is. Raises LockedError."""
        return self._storage.alone(tell)

    def require(self, version: str) -> None:
        """Raises RegistryError unless there is a version of this name."""
        if not is_name(version) or not self._storage.has(version):
            raise self._unknown(version)

    @contextmanager
    def _opened(self, version: str, check: Check | None) -> Iterator[Path]:
        with ExitStack() as held:
            try:
                if not is_name(version):
                    raise NoSuchVersionError(version)
                directory = held.enter_context(self._storage.opened(version, check))
            except NoSuchVersionError:
                raise self._unknown(version) from None
            yield directory

    def _unknown(self, version: str) -> RegistryError:
        return RegistryError(f"{self.place}: no version {version!r}; the latest are: {self._latest()}")

    def _latest(self) -> str:
        return ", ".join(self.versions()[-3:]) or "none"

    def _way_out(self) -> str:
        """What to do about a broken pointer."""
        return (
            f"make a version current with: cml models rollback --to VERSION --models {self.place} "
            f"(the latest are: {self._latest()})"
        )

    def _raw_manifest(self, version: str) -> tuple[bytes, str]:
        """(content, where it is)."""
        key = f"{VERSIONS}/{version}/{MANIFEST}"
        raw, where = self._storage.read(key), f"{self.place}/{key}"
        if raw is None:
            raise ArtifactError(f"{where}: No such file; this is not a complete artifact")
        return raw, where

    def _add(self, source: Path, raw: bytes, manifest: Manifest) -> str:
        newest = self.versions()[-1:]
        name = named((number_of(newest[0]) if newest else 0) + 1, digest_of(raw))
        self._storage.add(name, source, raw, manifest.files)
        return name

    def _intact_version(self, digest: str) -> str | None:
        """The version with this manifest, if it is there and undamaged."""
        for name in reversed(self.versions()):
            if name.endswith(digest) and self._is_intact(name):
                return name
        return None

    def _is_intact(self, version: str) -> bool:
        try:
            self.verify(version)
        except ArtifactError:
            return False
        return True

    def _older(self) -> list[str]:
        """Versions older than the current one, newest first."""
        current = self.current()
        return [
            name for name in reversed(self.versions()) if current and number_of(name) < number_of(current)
        ]

    def _point_to(self, version: str) -> None:
        self._storage.replace(POINTER, f"{version}\n".encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer; an error tells which version is current now."""
        try:
            with self._storage.writing():
                yield
        except StorageError as error:
            raise StorageError(f"{error}; {self._standing()}") from error

    def _standing(self) -> str:
        try:
            return f"the current version is {self.current()}"
        except RegistryError:
            return "which version is current cannot be told now"

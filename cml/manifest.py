"""The manifest of an artifact: what it is, how it came about, and the checksum of every file in it."""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from cml import __version__
from cml.errors import ArtifactError

FORMAT = 1
MANIFEST = "manifest.json"
_LIBRARIES = ("numpy", "faiss-cpu", "torch")
_CANONICAL = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


class Part(BaseModel):
    """Base of what a manifest consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileInfo(Part):
    """What a file must be."""

    sha256: str
    bytes: int


class Counts(Part):
    """How much the version knows."""

    users: int
    items: int
    pairs: int  # seen (user, item) pairs
    liked: int  # of them, the liked ones


class IndexInfo(Part):
    """How nearest items are found, and how many of the true ones are (`recall` of the first `recall_k`)."""

    kind: str = "exact"
    params: dict[str, Any] = {}
    recall: float = 1.0
    recall_k: int | None = None


class Manifest(Part):
    """Everything there is to know about a version without opening its arrays."""

    format: int = FORMAT
    created_at: str  # ISO 8601, UTC
    counts: Counts
    dim: int
    radius: float | None  # of the ball that holds every vector; None: unconstrained
    list_length: int  # of each user's precomputed list
    config: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    index: IndexInfo
    versions: dict[str, str]  # of this code, Python and the libraries that made it
    files: dict[str, FileInfo]

    def to_bytes(self) -> bytes:
        """The file's content: canonical JSON that carries a checksum of itself."""
        document = self.model_dump(mode="json")
        return _dump(document | {"checksum": _checksum(document)})


def parse_manifest(raw: bytes, where: Path | str) -> Manifest:
    """The manifest in these bytes. Raises ArtifactError when a single byte is not as it was written."""
    try:
        document = orjson.loads(raw)
        claimed = document.pop("checksum")
        written_by = document["format"]
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ArtifactError(f"{where}: damaged: not a manifest; publish the version again") from None
    if isinstance(written_by, int) and written_by > FORMAT and claimed == _checksum(document):
        raise ArtifactError(
            f"{where}: format {written_by}, this program reads up to {FORMAT}; upgrade cml-recommender"
        )
    if claimed != _checksum(document) or _dump(document | {"checksum": claimed}) != raw:
        raise ArtifactError(f"{where}: damaged: its checksum does not match; publish the version again")
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ArtifactError(f"{where}: {place}: {first['msg']}; publish the version again") from None


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an artifact directory. Raises ArtifactError."""
    path = directory / MANIFEST
    try:
        return parse_manifest(path.read_bytes(), path)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ArtifactError(f"{path}: {reason}; {directory} is not a complete artifact") from None


def verify_files(directory: Path, files: Mapping[str, FileInfo]) -> None:
    """Compare sizes and checksums, several files at a time. Raises ArtifactError naming the damaged files."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        problems = [
            problem
            for problem in pool.map(lambda name: _problem(directory / name, files[name]), files)
            if problem
        ]
    if problems:
        raise ArtifactError(f"{'; '.join(problems)}; publish the version again or roll back")


def describe_files(paths: Iterable[Path]) -> dict[str, FileInfo]:
    """Size and checksum of each file, by name."""
    return {
        path.name: FileInfo(sha256=file_sha256(path), bytes=path.stat().st_size) for path in sorted(paths)
    }


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return hashlib.sha256().hexdigest()
        # Mapped rather than read: no copy, and the hash runs without the interpreter lock.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return hashlib.sha256(content).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of this code, Python and the libraries that are installed, for the manifest."""
    found = {"cml-recommender": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain_json(value: Any) -> Any:
    """The value as JSON would give it back: string keys, plain numbers, null for NaN."""
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS))


def _problem(path: Path, expected: FileInfo) -> str | None:
    try:
        size = path.stat().st_size
        if size != expected.bytes:
            return f"{path}: damaged: {size} bytes instead of {expected.bytes}"
        if file_sha256(path) != expected.sha256:
            return f"{path}: damaged: its checksum does not match the manifest"
    except OSError as error:
        return f"{path}: {error.strerror or 'unreadable'}"
    return None


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dump(document)).hexdigest()


def _dump(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=_CANONICAL)

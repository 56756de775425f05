"""What holds for a version wherever it is stored: its name pins its manifest, and the manifest pins every file.

000012-3fa9c1d2e4b5: a running number, and the beginning of the manifest's SHA-256
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from cml.errors import ArtifactError
from cml.manifest import MANIFEST, Manifest, parse_manifest, verify_files

_NAME = re.compile(r"(\d{6,})-([0-9a-f]{12})")


def is_name(text: str) -> bool:
    """Whether a version may have this name."""
    return _NAME.fullmatch(text) is not None


def number_of(version: str) -> int:
    """The running number."""
    return int(version.partition("-")[0])


def digest_of(manifest: bytes) -> str:
    """The part of a name that this manifest gives it."""
    return sha256(manifest).hexdigest()[:12]


def named(number: int, digest: str) -> str:
    """The name of the version with this number and manifest."""
    return f"{number:06d}-{digest}"


def pinned(raw: bytes, version: str, where: Path | str) -> Manifest:
    """The manifest in these bytes, if it is the one of this version. Raises ArtifactError."""
    if digest_of(raw) != version.partition("-")[2]:
        raise ArtifactError(
            f"{where}: damaged: its checksum does not match the version's name; "
            "publish the version again or roll back"
        )
    return parse_manifest(raw, where)


def read_raw(path: Path) -> bytes:
    """The bytes of a manifest file. Raises ArtifactError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror or error}; this is not a complete artifact") from None


def check_directory(directory: Path, version: str) -> None:
    """Check every byte of a version's files in a directory. Raises ArtifactError naming the damaged ones."""
    manifest = pinned(read_raw(directory / MANIFEST), version, directory / MANIFEST)
    verify_files(directory, manifest.files)

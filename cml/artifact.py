"""An artifact: one directory that holds a complete model version, checked and never edited.

Only data formats (JSON, safetensors, FAISS): nothing in it runs code when read.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cml.arrays import read_arrays, write_arrays
from cml.catalogue import Catalogue
from cml.cells import TARGET_RECALL
from cml.content import Content
from cml.durable import move_into_place, staged_directory, write_file
from cml.errors import ArtifactError
from cml.features.given import NO_ROWS, GivenRows
from cml.features.placing import Placer
from cml.index import IndexKind, ItemIndex
from cml.lists import LIST_LENGTH, nearest_unseen
from cml.manifest import (
    MANIFEST,
    Counts,
    Manifest,
    describe_files,
    library_versions,
    plain_json,
    read_manifest,
    verify_files,
)
from cml.vocabulary import Vocabulary

__all__ = ["Artifact", "Content", "Manifest", "load", "read_manifest", "verify", "write"]

USERS = "users.safetensors"
ITEMS = "items.safetensors"
VECTORS = "vectors.safetensors"
SEEN = "seen.safetensors"
LISTS = "lists.safetensors"
CATALOGUE = "catalogue.safetensors"
FEATURES = "features.safetensors"  # only where the version can place items by their features
GIVEN = "given.safetensors"  # only where items were added with rows of feature matrices
USER_FEATURES = "user_features.safetensors"  # only where it can place users by theirs
INDEX = "index.faiss"  # only where the index kind needs more than the vectors


@dataclass(frozen=True, eq=False)
class Artifact(Content):
    """A version read back: the parts of its content, memory-mapped, and what was computed at writing."""

    manifest: Manifest = None  # type: ignore[assignment]  # always given; a default because Content has defaults
    top_rows: NDArray[np.int32] = None  # type: ignore[assignment]  # (n_users, list_length), -1 padded
    top_distances: NDArray[np.float32] = None  # type: ignore[assignment]  # plain distances, aligned, inf padded
    index: ItemIndex = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Nothing to check: what was checked before writing is held by checksums."""


def write(
    content: Content,
    directory: Path,
    *,
    list_length: int = LIST_LENGTH,
    index: IndexKind = "auto",
    target_recall: float = TARGET_RECALL,
    created_at: datetime | None = None,
) -> Manifest:
    """Write a complete artifact directory, replacing an older one at the same place; returns its manifest.

    The directory is written aside, synced and renamed. `index` is exact or approximate (cells); auto decides
    by the number of items, and `target_recall` says how approximate it may be. Raises ArtifactError when the
    directory cannot be written.
    """
    directory = Path(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with staged_directory(directory.parent) as staging:
            built = ItemIndex.build(content.item_vectors, content.user_vectors, index, target_recall)
            manifest = _fill(staging, content, built, list_length, created_at or datetime.now(UTC))
            _remove_old(directory, staging)
            move_into_place(staging, directory)
    except OSError as error:
        raise ArtifactError(f"{directory}: cannot be written: {error.strerror or error}") from error
    return manifest


def load(directory: Path, *, verify: bool = True) -> Artifact:
    """The artifact in a directory, memory-mapped. Raises ArtifactError naming what is missing or damaged.

    `verify=False` skips the checksums of the array files, for a caller who has just checked them.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    if verify:
        verify_files(directory, manifest.files)
    vectors, seen, lists = (read_arrays(directory / name) for name in (VECTORS, SEEN, LISTS))
    try:
        return Artifact(
            users=Vocabulary.from_arrays(read_arrays(directory / USERS)),
            items=Vocabulary.from_arrays(read_arrays(directory / ITEMS)),
            user_vectors=vectors["users"],
            item_vectors=vectors["items"],
            seen_indptr=seen["indptr"],
            seen_items=seen["items"],
            seen_liked=seen["liked"],
            popularity=lists["popularity"],
            trending=lists.get("trending"),
            first_seen=lists.get("first_seen"),
            catalogue=Catalogue.from_arrays(read_arrays(directory / CATALOGUE)),
            placer=_placer(directory / FEATURES, manifest),
            user_placer=_placer(directory / USER_FEATURES, manifest),
            given=GivenRows.from_arrays(read_arrays(directory / GIVEN))
            if GIVEN in manifest.files
            else NO_ROWS,
            config=manifest.config,
            metrics=manifest.metrics,
            data=manifest.data,
            manifest=manifest,
            top_rows=lists["top_rows"],
            top_distances=lists["top_distances"],
            index=ItemIndex.load(vectors["items"], manifest.index, directory / INDEX),
        )
    except KeyError as error:
        raise ArtifactError(f"{directory}: the array {error} is missing; publish the version again") from None


def verify(directory: Path) -> Manifest:
    """Check every byte of an artifact; returns its manifest. Raises ArtifactError naming damaged files."""
    manifest = read_manifest(Path(directory))
    verify_files(Path(directory), manifest.files)
    return manifest


def _placer(path: Path, manifest: Manifest) -> Placer | None:
    """What the file holds; None where the version has no such file."""
    return Placer.from_arrays(read_arrays(path)) if path.name in manifest.files else None


def _fill(
    staging: Path, content: Content, index: ItemIndex, list_length: int, created_at: datetime
) -> Manifest:
    top_rows, top_distances = nearest_unseen(
        index, content.user_vectors, content.seen_indptr, content.seen_items, list_length
    )
    lists: dict[str, NDArray | None] = {
        "top_rows": top_rows,
        "top_distances": top_distances,
        "popularity": content.popularity,
        "trending": content.trending,
        "first_seen": content.first_seen,
    }
    files: dict[str, Mapping[str, NDArray]] = {
        USERS: content.users.arrays(),
        ITEMS: content.items.arrays(),
        VECTORS: {"users": content.user_vectors, "items": content.item_vectors},
        SEEN: {"indptr": content.seen_indptr, "items": content.seen_items, "liked": content.seen_liked},
        LISTS: {name: array for name, array in lists.items() if array is not None},
        CATALOGUE: content.catalogue.arrays(),
    }
    if content.placer is not None:
        files[FEATURES] = content.placer.arrays()
    if content.given:
        files[GIVEN] = content.given.arrays()
    if content.user_placer is not None:
        files[USER_FEATURES] = content.user_placer.arrays()
    for name, arrays in files.items():
        write_arrays(staging / name, arrays)
    index.save(staging / INDEX)
    manifest = _manifest(staging, content, index, list_length, created_at)
    write_file(staging / MANIFEST, manifest.to_bytes())
    return manifest


def _manifest(
    staging: Path, content: Content, index: ItemIndex, list_length: int, created_at: datetime
) -> Manifest:
    config = plain_json(content.config)
    return Manifest(
        created_at=created_at.astimezone(UTC).isoformat(timespec="seconds"),
        counts=Counts(
            users=len(content.users),
            items=len(content.items),
            pairs=len(content.seen_items),
            liked=int(np.count_nonzero(content.seen_liked)),
        ),
        dim=content.item_vectors.shape[1],
        radius=config.get("model", {}).get("radius", 1.0),
        list_length=list_length,
        config=config,
        data=plain_json(content.data),
        metrics=plain_json(content.metrics),
        index=index.info,
        versions=library_versions(),
        files=describe_files(staging.iterdir()),
    )


def _remove_old(directory: Path, staging: Path) -> None:
    """Move an older artifact out of the way, into the staging directory's sibling, and remove it.

    Processes that have it mapped keep their pages: its files are unlinked, not overwritten.
    """
    if directory.exists():
        old = staging.with_name(f"{staging.name}-old")
        directory.rename(old)
        shutil.rmtree(old, ignore_errors=True)

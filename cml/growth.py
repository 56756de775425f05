"""A version with more items, without training: they are placed by their features, all else stays as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.artifact import Artifact
from cml.catalogue import Catalogue
from cml.content import Content
from cml.errors import ArtifactError
from cml.features.given import GivenRows
from cml.features.matrix import MatrixRow, with_matrices
from cml.features.placing import Placer
from cml.features.values import fitting
from cml.item_changes import catalogue_of, changed_catalogue, joined, kinds_of
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

Said = Mapping[str, Mapping[str, object]]
NOTHING_SAID: Said = MappingProxyType({})
ADDED = "added_items"  # in a manifest's data: {"first_row", "items"} of those that were placed, not trained


@dataclass(frozen=True)
class Growth:
    """A version with more items, and what became of each id that was given, in the order given."""

    content: Content
    added: tuple[str, ...]
    updated: tuple[str, ...]  # known ones whose metadata was replaced
    known: tuple[str, ...]  # known ones that were left as they are
    unplaced: tuple[str, ...]  # left out: nothing that the extractor knows is said about them


def grown(
    artifact: Artifact,
    item_ids: Sequence[str],
    described: Catalogue,
    *,
    now: datetime,
    update: bool = False,
    matrices: Mapping[str, Sequence[MatrixRow | None]] = MappingProxyType({}),
) -> Growth:
    """The version's content with these items, given as distinct ids and their metadata by row.

    New items are placed by their features; those without a known feature are left out. Items that the version
    knows are left as they are, or with `update` take over the metadata that is given: trained ones keep their
    place, ones that were themselves placed by features are placed again. matrices: by name a row or None for each
    item; the version keeps them for those it takes over. Raises ArtifactError for a version without an extractor.
    """
    if artifact.placer is None:
        raise ArtifactError(
            "the version has no feature extractor, so nothing can be placed; train it with: cml train --features"
        )
    rows = artifact.items.rows(item_ids).tolist()
    records = [described.record(row) for row in range(described.n_items)]
    kinds = {name: column.kind for name, column in described.columns.items()}
    pairs = list(zip(item_ids, rows, records, strict=True))
    known = [(item_id, row, record) for item_id, row, record in pairs if row != UNKNOWN_ROW]
    content = _content(artifact)
    if update and known:
        content = _keeping(content, item_ids, matrices)
        content = _updated(content, {row: record for _, row, record in known}, kinds, artifact.placer)
    new = [(item_id, record) for item_id, row, record in pairs if row == UNKNOWN_ROW]
    features = with_matrices(records, matrices)
    vectors, has_place = _places(
        artifact.placer, [features[at] for at, row in enumerate(rows) if row == UNKNOWN_ROW]
    )
    placed = [pair for pair, kept in zip(new, has_place, strict=True) if kept]
    known_ids = tuple(item_id for item_id, _, _ in known)
    added = tuple(item_id for item_id, _ in placed)
    content = _extended(content, placed, kinds, vectors[has_place], now)
    return Growth(
        content=_keeping(content, item_ids, matrices, only=added),
        added=added,
        updated=known_ids if update else (),
        known=() if update else known_ids,
        unplaced=tuple(item_id for (item_id, _), kept in zip(new, has_place, strict=True) if not kept),
    )


def with_added(made: Content, before: Content, said: Said = NOTHING_SAID) -> Content:
    """A newly trained version with the items that were added to the one before it and that nobody has liked yet.

    They keep their metadata, the time at which they came and their rows of feature matrices, and are placed anew. One
    without a feature that the new version knows is left out, and all are where the new version has no extractor.
    said: by item id the values that were said over HTTP since, which place it before all else.
    """
    if made.placer is None:
        return made
    first = before.data.get(ADDED, {}).get("first_row", len(before.items))
    rows = [row for row in range(first, len(before.items)) if before.items[row] not in made.items]
    kinds = {name: column.kind for name, column in before.catalogue.columns.items()}
    records = [before.catalogue.record(row) for row in rows]
    encoder = made.placer.encoder
    features = [
        record | before.given.of_item(row) | fitting(encoder, said.get(before.items[row], {}))
        for row, record in zip(rows, records, strict=True)
    ]
    vectors, has_place = _places(made.placer, features)
    kept = [at for at, known in enumerate(has_place) if known]
    placed = [(before.items[rows[at]], records[at]) for at in kept]
    content = _extended(made, placed, kinds, vectors[has_place], datetime.now(UTC))
    if content.first_seen is not None and before.first_seen is not None and kept:
        content.first_seen[-len(kept) :] = before.first_seen[[rows[at] for at in kept]]
    return replace(content, given=before.given.over(before.items, content.items, encoder))


def _keeping(
    content: Content,
    item_ids: Sequence[str],
    matrices: Mapping[str, Sequence[MatrixRow | None]],
    only: Collection[str] | None = None,
) -> Content:
    """The content that keeps the rows of its items among these, or of `only` some of them."""
    chosen = set(item_ids if only is None else only)
    at = content.items.rows(item_ids).tolist()
    rows = {
        name: {
            at[position]: row
            for position, row in enumerate(given)
            if row is not None and at[position] != UNKNOWN_ROW and item_ids[position] in chosen
        }
        for name, given in matrices.items()
    }
    return replace(content, given=content.given.joined(GivenRows.of(rows)))


def _content(artifact: Artifact) -> Content:
    return Content(**{field.name: getattr(artifact, field.name) for field in fields(Content)})


def _places(
    placer: Placer, records: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    placement = placer.place([fitting(placer.encoder, record) for record in records])
    return placement.vectors, placement.known


def _updated(
    content: Content, said: Mapping[int, Mapping[str, Any]], kinds: Mapping[str, str], placer: Placer
) -> Content:
    """The content with other metadata of some rows; rows that were placed before move with it."""
    catalogue = changed_catalogue(content.catalogue, said, kinds)
    first = content.data.get(ADDED, {}).get("first_row", len(content.items))
    again = np.array(sorted(row for row in said if row >= first), dtype=np.int64)
    vectors, has_place = _places(
        placer, [catalogue.record(row) | content.given.of_item(row) for row in again.tolist()]
    )
    item_vectors = np.array(content.item_vectors)
    item_vectors[again[has_place]] = vectors[has_place]
    return replace(content, catalogue=catalogue, item_vectors=item_vectors)


def _extended(
    content: Content,
    placed: Sequence[tuple[str, Mapping[str, Any]]],
    kinds: Mapping[str, str],
    vectors: NDArray[np.float32],
    now: datetime,
) -> Content:
    """The content with these items behind its own: rows stay what they are."""
    if not placed:
        return content
    n_own, n_new = len(content.items), len(placed)
    first = content.data.get(ADDED, {}).get("first_row", n_own)
    return replace(
        content,
        items=Vocabulary([*content.items, *(item_id for item_id, _ in placed)]),
        item_vectors=np.concatenate([content.item_vectors, vectors]),
        popularity=np.concatenate([content.popularity, np.zeros(n_new)]),
        trending=_longer(content.trending, n_new, 0.0),
        first_seen=_longer(content.first_seen, n_new, now.timestamp()),
        catalogue=joined(
            content.catalogue,
            catalogue_of([record for _, record in placed], kinds_of(content.catalogue), kinds),
        ),
        data=content.data | {ADDED: {"first_row": first, "items": n_own + n_new - first}},
    )


def _longer(scores: NDArray[np.float64] | None, n: int, value: float) -> NDArray[np.float64] | None:
    return None if scores is None else np.concatenate([scores, np.full(n, value)])

"""A synthetic model of any size: clustered points in the unit ball, users among the items of a few clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cml import artifact
from cml.catalogue import Catalogue
from cml.content import Content
from cml.index import IndexKind
from cml.registry import Registry
from cml.vocabulary import Vocabulary

DIM = 64
SEEN = 40  # items that each user has
_GENRES = ("Drama", "Comedy", "Crime", "Horror", "Romance", "Fantasy", "Western", "Documentary")
_SPREAD = 0.6  # of a cluster's points around its centre, relative to the centre's length


def publish(models: Path, n_items: int, n_users: int, seed: int, index: IndexKind = "auto") -> str:
    """Publish a world into a registry, made when needed; returns the version."""
    staged = models.parent / f"{models.name}-run"
    artifact.write(content(n_items, n_users, np.random.default_rng(seed)), staged, index=index)
    return Registry(models).publish(staged)


def content(n_items: int, n_users: int, rng: np.random.Generator) -> Content:
    """The world: items named `item-0`, ..., users `user-0`, ..., each with `SEEN` items."""
    centres = rng.standard_normal((max(8, n_items // 250), DIM)).astype(np.float32)
    rows = np.sort(rng.integers(0, n_items, (n_users, SEEN)), axis=1)
    kept = np.diff(rows, axis=1, prepend=-1) > 0  # pairs must be distinct
    user_rows = np.nonzero(kept)[0]
    return Content.from_pairs(
        users=Vocabulary(f"user-{row}" for row in range(n_users)),
        items=Vocabulary(f"item-{row}" for row in range(n_items)),
        user_vectors=_clustered(centres, n_users, rng),
        item_vectors=_clustered(centres, n_items, rng),
        user_rows=user_rows,
        item_rows=rows[kept],
        liked=np.ones(len(user_rows), dtype=bool),
        timestamps=rng.uniform(1.6e9, 1.7e9, len(user_rows)),
        config={"model": {"dim": DIM, "radius": 1.0}, "train": {"temperature": 0.1}},
        catalogue=_catalogue(n_items, rng),
    )


def _clustered(centres: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """n points (n, DIM) on the unit sphere, around centres drawn for each."""
    points = rng.standard_normal((n, DIM), dtype=np.float32) * _SPREAD
    points += centres[rng.integers(0, len(centres), n)]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


def _catalogue(n_items: int, rng: np.random.Generator) -> Catalogue:
    genres = rng.integers(0, len(_GENRES), n_items)
    years = rng.integers(1950, 2025, n_items)
    columns = {
        "title": [f"Title number {row}" for row in range(n_items)],
        "genres": [[_GENRES[genre]] for genre in genres],
        "year": years.tolist(),
    }
    return Catalogue.from_columns(n_items, columns, {"genres": "tags"})

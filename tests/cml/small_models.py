"""Small published models for tests: random points in the ball, a few seen items, films as metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cml import artifact
from cml.catalogue import Catalogue
from cml.content import Content
from cml.registry import Registry
from cml.snapshot import Snapshot
from cml.vocabulary import Vocabulary

GENRES = ("Comedy", "Drama", "Horror", "Sci-Fi")
DAY = 86400.0


def points(n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Points (n, dim) in the unit ball."""
    vectors = rng.normal(size=(n, dim)).astype(np.float32)
    return vectors / np.maximum(
        1, np.linalg.norm(vectors, axis=1, keepdims=True) * rng.uniform(1, 2, (n, 1))
    ).astype(np.float32)


def films(n_items: int, rng: np.random.Generator) -> Catalogue:
    """Titles, years (some missing), up to two genres, and a release date."""
    return Catalogue.from_columns(
        n_items,
        {
            "title": [f"Film {row}" for row in range(n_items)],
            "year": [None if row % 10 == 0 else 1950 + row % 70 for row in range(n_items)],
            "genres": [
                list(rng.choice(GENRES, size=rng.integers(0, 3), replace=False)) for _ in range(n_items)
            ],
            "available_from": [None if row % 3 else row * DAY for row in range(n_items)],
            "available_until": [None if row % 4 else row * 2 * DAY for row in range(n_items)],
        },
        kinds={"available_from": "date", "available_until": "date"},
    )


def content(
    n_users: int = 40, n_items: int = 200, dim: int = 8, seed: int = 0, pairs_per_user: int = 6
) -> Content:
    """A model without a trained meaning: everything that does not depend on quality can be tested on it."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, [n_users, n_items], size=(n_users * pairs_per_user, 2)), axis=0)
    return Content.from_pairs(
        users=Vocabulary(f"user/{row}" for row in range(n_users)),
        items=Vocabulary(f"film-{row:03d}" for row in range(n_items)),
        user_vectors=points(n_users, dim, rng),
        item_vectors=points(n_items, dim, rng),
        user_rows=pairs[:, 0],
        item_rows=pairs[:, 1],
        liked=rng.random(len(pairs)) < 0.7,
        timestamps=rng.uniform(0, 100 * DAY, len(pairs)),
        config={"model": {"dim": dim, "radius": 1.0}, "train": {"temperature": 0.3}},
        metrics={"ndcg@10": 0.125},
        data={"fingerprint": f"seed {seed}"},
        catalogue=films(n_items, rng),
    )


def snapshot(directory: Path, **options: int) -> Snapshot:
    """A snapshot of `content(**options)`, written below `directory` and read back."""
    artifact.write(content(**options), directory / "artifact")
    return Snapshot(artifact.load(directory / "artifact"), "000001-aaaaaaaaaaaa")


def registry(directory: Path, versions: int) -> Registry:
    """A registry with so many published versions."""
    models = Registry(directory / "models")
    for seed in range(versions):
        artifact.write(content(seed=seed), directory / f"run{seed}")
        models.publish(directory / f"run{seed}")
    return models


def ids(found):
    """The item ids of a list, in its order."""
    return [item.item_id for item in found.items]

"""Tiny published models whose answers are known by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cml import artifact
from cml.catalogue import Catalogue
from cml.content import Content
from cml.registry import Registry
from cml.vocabulary import Vocabulary

USERS = ["ann", "bob", "Zoë/ü 1"]
# On a line: the user at 0.0 sees the items in this order.
ITEMS = ["i0", "i1", "a/b", "日本", "i4", "i5", "i6", "i7"]
TITLES = ["Alien", "Aliens", "Brazil", "千と千尋の神隠し", "Amélie", "Heat", None, "Up"]
GENRES = [
    ["Horror", "SciFi"],
    ["SciFi"],
    ["SciFi", "Comedy"],
    ["Fantasy"],
    ["Comedy"],
    ["Crime"],
    [],
    ["Comedy"],
]


def content(*, shift: float = 0.0, flip: bool = False, data: dict | None = None) -> Content:
    """Eight items at 0.1, 0.2, ... 0.8 and users at 0 (ann), 0.45 (bob), 0.9; `flip` mirrors the items."""
    places = np.arange(1, 9, dtype=np.float32) / 10
    item_vectors = np.stack([places[::-1] if flip else places, np.full(8, shift, np.float32)], axis=1)
    user_vectors = np.array([[0.0, 0.0], [0.45, 0.0], [0.9, 0.0]], dtype=np.float32)
    pairs = {"ann": ["i0", "日本"], "bob": ["i4"], "Zoë/ü 1": ["i7", "i0", "i4"]}
    users, items = Vocabulary(USERS), Vocabulary(ITEMS)
    user_rows = np.array([users.row(user) for user, liked in pairs.items() for _ in liked])
    item_rows = np.array([items.row(item) for liked in pairs.values() for item in liked])
    return Content.from_pairs(
        users=users,
        items=items,
        user_vectors=user_vectors,
        item_vectors=item_vectors,
        user_rows=user_rows,
        item_rows=item_rows,
        liked=np.ones(len(user_rows), dtype=bool),
        timestamps=np.arange(len(user_rows), dtype=float) * 86400.0,
        config={"model": {"dim": 2, "radius": 1.0}},
        metrics={"ndcg@10": 0.5},
        data=data or {},
        catalogue=Catalogue.from_columns(
            8,
            {"title": TITLES, "genres": GENRES, "year": [1979, 1986, 1985, 2001, 2001, 1995, None, 2009]},
            {"genres": "tags"},
        ),
    )


def publish(models: Path, what: Content | None = None) -> str:
    """Publish into a registry, making it when needed; returns the version."""
    staged = models.parent / f"{models.name}-run"
    artifact.write(what or content(), staged)
    return Registry(models).publish(staged)

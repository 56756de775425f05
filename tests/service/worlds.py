"""Tiny published models whose answers are known by eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cml import artifact
from cml.catalogue import Catalogue
from cml.content import Content
from cml.features.encoding import FeatureEncoder
from cml.features.extractor import Extractor, Layer
from cml.features.placing import Placer
from cml.features.schema import Feature, FeatureSchema
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

PLACES = {"Horror": 0.05, "Crime": 0.47, "Comedy": 0.95}  # on the line; ann is at 0, bob at 0.45, Zoë at 0.9
TOWNS = {"Bonn": 0.22, "Cork": 0.78}
YEARS = [1979, 1986, 1985, 2001, 2001, 1995, None, 2009]


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


def placing(what: Content, places: dict[str, float] = PLACES) -> Content:
    """The tiny version with an extractor that puts a film of one genre where `places` says."""
    schema = FeatureSchema((Feature("genres", "multi"), Feature("year", "numeric"), Feature("plot", "text")))
    items = [
        {"genres": genres, "year": year, "plot": "space crime"}
        for genres, year in zip(GENRES, YEARS, strict=True)
    ]
    encoder = FeatureEncoder.fit(schema, items)
    weight = np.zeros((encoder.n_columns, 2), dtype=np.float32)
    for genre, place in places.items():
        weight[encoder.fitted[0].terms.row(genre), 0] = place
    placer = Placer(encoder, Extractor([Layer(weight, np.zeros(2, dtype=np.float32))]))
    return replace(what, placer=placer)


def welcoming(what: Content, *, weight: float = 1.0) -> Content:
    """The tiny version with an extractor that puts a user of one town where `TOWNS` says, and a little more by age."""
    schema = FeatureSchema((Feature("town", "categorical"), Feature("age", "numeric")))
    people = [{"town": town, "age": age} for town in TOWNS for age in (20, 40)]
    encoder = FeatureEncoder.fit(schema, people)  # ages have the mean 30 and the scale 10
    layer = np.zeros((encoder.n_columns, 2), dtype=np.float32)
    for town, place in TOWNS.items():
        layer[encoder.fitted[0].terms.row(town), 0] = place
    layer[-1, 0] = 0.01
    placer = Placer(encoder, Extractor([Layer(layer, np.zeros(2, dtype=np.float32))]))
    config = what.config | {"user_features": {"columns": ["town", "age"], "weight": weight}}
    return replace(what, user_placer=placer, config=config)


def publish(models: Path, what: Content | None = None) -> str:
    """Publish into a registry, making it when needed; returns the version."""
    staged = models.parent / f"{models.name}-run"
    artifact.write(what or content(), staged)
    return Registry(models).publish(staged)

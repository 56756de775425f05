"""Small worlds for evaluation: random pairs over named users and items, and models over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cml import artifact
from cml.artifact import Artifact
from cml.content import Content
from cml.data.dataset import Dataset
from cml.vocabulary import Vocabulary


def vocabulary(prefix: str, n: int) -> Vocabulary:
    return Vocabulary(f"{prefix}{row}" for row in range(n))


def random_pairs(n_users: int, n_items: int, share: float, seed: int) -> Dataset:
    """Distinct pairs, all liked."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < share)
    return Dataset.from_rows(vocabulary("u", n_users), vocabulary("i", n_items), users, items)


def liked_sets(dataset: Dataset) -> list[set[int]]:
    """For each user row the set of liked item rows."""
    sets: list[set[int]] = [set() for _ in range(dataset.n_users)]
    for user, item, liked in zip(dataset.user_rows, dataset.item_rows, dataset.liked, strict=True):
        if liked:
            sets[user].add(int(item))
    return sets


def model(
    directory: Path,
    train: Dataset,
    user_vectors: np.ndarray,
    item_vectors: np.ndarray,
    data_config: dict[str, object] | None = None,
) -> Artifact:
    """A published model with these vectors, written below `directory` as a run would and read back."""
    content = Content.from_pairs(
        users=train.users,
        items=train.items,
        user_vectors=user_vectors,
        item_vectors=item_vectors,
        user_rows=train.user_rows,
        item_rows=train.item_rows,
        liked=train.liked,
        timestamps=train.timestamps,
        config={"data": data_config or {}, "model": {"radius": 1.0}},
    )
    artifact.write(content, directory / "artifact")
    return artifact.load(directory / "artifact")

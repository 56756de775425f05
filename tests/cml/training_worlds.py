"""Small data sets whose right answers are known."""

from __future__ import annotations

import numpy as np

from cml.data.dataset import Dataset
from cml.vocabulary import Vocabulary


def dataset(pairs, *, users=None, items=None, disliked=(), weights=None):
    """A data set from (user_row, item_row) pairs; `disliked` are pairs, too, and are added."""
    rows = np.array([*pairs, *disliked])
    flags = np.array([False] * len(pairs) + [True] * len(disliked))
    n_users, n_items = users or rows[:, 0].max() + 1, items or rows[:, 1].max() + 1
    return Dataset.from_rows(
        Vocabulary(f"u{row}" for row in range(n_users)),
        Vocabulary(f"i{row}" for row in range(n_items)),
        rows[:, 0],
        rows[:, 1],
        disliked=flags,
        weights=weights,
    )


def two_tastes(*, users=100, items=24, known=8, seed=0):
    """Even users like even items, odd users odd ones; one liked item of each is held out: (train, held out)."""
    rng = np.random.default_rng(seed)
    train, held_out = [], []
    for user in range(users):
        own = rng.permutation(np.arange(user % 2, items, 2))
        held_out.append((user, own[0]))
        train += [(user, item) for item in own[1 : known + 1]]
    return dataset(train, users=users, items=items), dataset(held_out, users=users, items=items)


def scattered(*, users=30, items=25, likes=6, seed=0):
    """Random likes with random weights, and a few dislikes: nothing to learn, everything to compute."""
    rng = np.random.default_rng(seed)
    liked = [(user, item) for user in range(users) for item in rng.choice(items - 3, likes, replace=False)]
    disliked = [(user, items - 1 - user % 3) for user in range(0, users, 2)]
    weights = rng.uniform(0.5, 2.0, len(liked) + len(disliked)).astype(np.float32)
    return dataset(liked, users=users, items=items, disliked=disliked, weights=weights)


def saving_until(epoch, checkpoint):
    """A `save` for training that is interrupted after this epoch."""

    def save(plan, progress):
        checkpoint.save(plan, progress)
        if progress.epoch == epoch:
            raise KeyboardInterrupt

    return save

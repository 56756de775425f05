"""Which pairs are held out: random per user, each user's last, or everything from a point in time on.

Only liked pairs are ever held out. Both parts keep the data set's vocabularies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cml.config import SplitConfig
from cml.data.dataset import Dataset
from cml.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """Two disjoint parts of a data set over the same vocabularies.

    `dropped` counts the pairs in neither part, as the method says.
    """

    train: Dataset
    held_out: Dataset
    dropped: int = 0

    @cached_property
    def users_only_held_out(self) -> int:
        """Users with held-out pairs and no training pair: counted, but nobody can rank for them."""
        return _only_in(self.held_out.user_rows, self.train.user_rows)

    @cached_property
    def items_only_held_out(self) -> int:
        """Items with held-out pairs and no training pair: misses in every metric."""
        return _only_in(self.held_out.item_rows, self.train.item_rows)


def split(dataset: Dataset, config: SplitConfig, rng: np.random.Generator) -> Split:
    """Hold out liked pairs by the configured method. Raises DataError when either part is left without any.

    random: of each user's liked pairs, `ratio` of them, rounded half up, one at least staying in training.
    leave-last: each user's `n` latest liked pairs; users with at most `n` keep all of theirs in training.
        Liked pairs of unknown time count as the earliest. Equal times are ordered by a fixed hash of the item
        id: neither the order of the file nor of the ids matters.
    time: the latest `ratio` of all pairs of known time, rounded half up; pairs of one instant stay together.
        Nothing at or after that instant stays in training: unliked pairs from there on, and pairs of unknown
        time, are dropped.

    Only "random" draws from `rng`.
    """
    if config.method == "time":
        result = _by_time(dataset, config.ratio)
    else:
        liked = np.flatnonzero(dataset.liked)
        if config.method == "random":
            held = _random(dataset.user_rows[liked], config.ratio, rng)
        else:
            held = _last(dataset.take(liked), config.n)
        result = _of_mask(dataset, liked[held])
    return _checked(result, config)


def given(train: Dataset, held_out: Dataset) -> Split:
    """The split that two files make, read over the same vocabularies.

    Liked pairs of `held_out` that do not stand in `train` are held out; raises DataError if there is none.
    """
    if train.users is not held_out.users or train.items is not held_out.items:
        raise ValueError("train and held_out do not share their vocabularies")
    fresh = held_out.liked & ~np.isin(_pairs(held_out), _pairs(train))
    if not fresh.any():
        raise DataError(
            f"none of the {len(held_out):,} held-out pairs is liked and absent from training; "
            "check that the files are the right ones"
        )
    return Split(train, held_out.take(fresh), dropped=int(np.count_nonzero(~fresh)))


def _random(user_rows: NDArray[np.int32], ratio: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    counts = np.bincount(user_rows)
    wanted = np.minimum(np.floor(counts * ratio + 0.5), np.maximum(counts - 1, 0))
    return _place(user_rows, rng.random(len(user_rows))) < wanted[user_rows]


def _last(liked: Dataset, n: int) -> NDArray[np.bool_]:
    if np.isnan(liked.timestamps).all():
        raise DataError(
            "split leave-last needs timestamps, and no liked pair has one; "
            "name their column with --timestamp-column or choose --set split.method=random"
        )
    counts = np.bincount(liked.user_rows)
    times = np.nan_to_num(liked.timestamps, nan=-np.inf)
    place = _place(liked.user_rows, -times, tie=_item_hashes(liked))
    return (place < n) & (counts > n)[liked.user_rows]


def _by_time(dataset: Dataset, ratio: float) -> Split:
    known = np.sort(dataset.timestamps[~np.isnan(dataset.timestamps)])
    if not len(known):
        raise DataError(
            "split time needs timestamps, and no pair has one; "
            "name their column with --timestamp-column or choose --set split.method=random"
        )
    instant = known[-max(1, int(len(known) * ratio + 0.5))]
    past, future = dataset.timestamps < instant, dataset.timestamps >= instant
    held = future & dataset.liked
    return Split(dataset.take(past), dataset.take(held), dropped=int(len(dataset) - past.sum() - held.sum()))


def _of_mask(dataset: Dataset, held: NDArray[np.int64]) -> Split:
    stay = np.ones(len(dataset), dtype=bool)
    stay[held] = False
    return Split(dataset.take(stay), dataset.take(held))


def _checked(result: Split, config: SplitConfig) -> Split:
    for name, part in (("training", result.train), ("held-out", result.held_out)):
        if not part.liked.any():
            raise DataError(
                f"split {config.method} leaves no liked pair in the {name} part; "
                "change split.ratio or split.n, or use data with more liked pairs a user"
            )
    return result


def _place(user_rows: NDArray[np.int32], key: NDArray, *, tie: NDArray | None = None) -> NDArray[np.int64]:
    """Place of each pair among its user's pairs, from 0, by ascending key, then by tie."""
    order = np.lexsort((key, user_rows) if tie is None else (tie, key, user_rows))
    starts = np.r_[0, np.cumsum(np.bincount(user_rows))]
    place = np.empty(len(user_rows), dtype=np.int64)
    place[order] = np.arange(len(order)) - starts[user_rows[order]]
    return place


def _item_hashes(dataset: Dataset) -> NDArray[np.uint64]:
    """The vocabulary's hash of each pair's item id: it depends on nothing but the id."""
    arrays = dataset.items.arrays()
    hashes = np.empty(dataset.n_items, dtype=np.uint64)
    hashes[arrays["hash_rows"]] = arrays["hashes"]
    return hashes[dataset.item_rows]


def _pairs(dataset: Dataset) -> NDArray[np.int64]:
    return dataset.user_rows.astype(np.int64) * dataset.n_items + dataset.item_rows


def _only_in(rows: NDArray[np.int32], others: NDArray[np.int32]) -> int:
    return len(np.setdiff1d(rows, others))

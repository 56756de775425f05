"""Whole items held out: what a catalogue looks like before its newest items have met anybody."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cml.data.dataset import Dataset
from cml.data.split import Split
from cml.durable import replace_file
from cml.errors import DataError


def split_items(dataset: Dataset, cold: NDArray[np.bool_]) -> Split:
    """No pair of a cold item (n_items,) stays in training; their liked pairs are held out, the others dropped.

    Raises DataError when either part is left without a liked pair.
    """
    of_cold = cold[dataset.item_rows]
    held = of_cold & dataset.liked
    result = Split(
        dataset.take(~of_cold), dataset.take(held), dropped=int(np.count_nonzero(of_cold & ~dataset.liked))
    )
    for name, part in (("training", result.train), ("held-out", result.held_out)):
        if not part.liked.any():
            raise DataError(
                f"{int(cold.sum()):,} of {len(cold):,} items are cold, which leaves no liked pair in the {name} "
                "part; choose another share or another condition"
            )
    return result


def random_items(n_items: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask of `share` of the items, rounded half up."""
    cold = np.zeros(n_items, dtype=bool)
    cold[rng.permutation(n_items)[: int(n_items * share + 0.5)]] = True
    return cold


def latest_items(dataset: Dataset, share: float) -> NDArray[np.bool_]:
    """A mask of the `share` of the items, rounded half up, whose first pair is latest; ties to the higher row.

    Items without a known time count as the earliest. Raises DataError when no pair has one.
    """
    if np.isnan(dataset.timestamps).all():
        raise DataError(
            "items can only be held out by time with timestamps, and no pair has one; "
            "name their column with --timestamp-column or choose --by random"
        )
    first = np.full(dataset.n_items, np.inf)
    np.fmin.at(first, dataset.item_rows, dataset.timestamps)
    first[np.isinf(first)] = -np.inf
    cold = np.zeros(dataset.n_items, dtype=bool)
    cold[np.argsort(first, kind="stable")[dataset.n_items - int(dataset.n_items * share + 0.5) :]] = True
    return cold


def write_pairs(path: Path, dataset: Dataset) -> None:
    """The liked pairs as a CSV file: user_id, item_id, weight, and timestamp where one is known."""
    lines: list[list[object]] = [["user_id", "item_id", "weight", "timestamp"]]
    liked = dataset.take(dataset.liked)
    for user, item, weight, time in zip(
        liked.user_rows, liked.item_rows, liked.weights, liked.timestamps, strict=True
    ):
        lines.append(
            [
                dataset.users[user],
                dataset.items[item],
                f"{weight:.9g}",
                "" if np.isnan(time) else repr(float(time)),
            ]
        )
    replace_file(path, _as_csv(lines).encode())


def _as_csv(lines: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()

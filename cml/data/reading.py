"""From interaction files to a data set: rows are checked, merged to pairs and judged liked or disliked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.config import DataConfig
from cml.data.columns import Ids
from cml.data.dataset import Dataset
from cml.data.intake import Intake
from cml.data.merging import Rows, frequent, merge
from cml.data.rejects import Rejects
from cml.errors import ConfigError, DataError
from cml.vocabulary import Vocabulary

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class ReadReport:
    """What became of the rows: `rows == len(rejects) + merged + dropped_pairs + pairs`."""

    files: Mapping[str, str]  # path -> layout it was recognised as
    rows: int
    rejects: Rejects
    merged: int  # rows that went into another row of the same pair
    dropped_pairs: int  # by the minimum numbers of liked pairs, as are the next two
    dropped_users: int
    dropped_items: int
    pairs: int
    new_users: int  # ids beyond the vocabulary that was handed in; without one, all
    new_items: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        counts = (
            "merged",
            "dropped_pairs",
            "dropped_users",
            "dropped_items",
            "pairs",
            "new_users",
            "new_items",
        )
        return {
            "files": dict(self.files),
            "rows": self.rows,
            "rejected": dict(self.rejects.counts),
            "first_rejected": [str(reject) for reject in self.rejects.first],
            **{name: getattr(self, name) for name in counts},
        }


@dataclass(frozen=True)
class Reading:
    """A data set and how it came about."""

    dataset: Dataset
    report: ReadReport


def read_interactions(
    paths: Paths,
    config: DataConfig,
    *,
    strict: bool = False,
    users: Vocabulary | None = None,
    items: Vocabulary | None = None,
) -> Reading:
    """Read files as one data set, pairs in file order and rows numbered by first appearance.

    With `users` and `items` (of a training set, say) the result's vocabularies begin with these and go on
    with ids that they lack: nothing is lost, and a row beyond them is an id unknown there. Held-out and seen
    pairs are read this way, so the minimum numbers of interactions are then not applied.

    strict: the first rejected row raises. Raises DataError when a file cannot be read or nothing in it is
    usable, ConfigError when the thresholds contradict each other.
    """
    _check_thresholds(config)
    intake = Intake(config, strict, Ids(users or ()), Ids(items or ()))
    for path in [paths] if isinstance(paths, str | Path) else paths:
        intake.read(Path(path))
    rows = merge(intake.rows(), config.duplicates)
    dataset = _judge(rows, config, Vocabulary(intake.users), Vocabulary(intake.items))
    kept = dataset if users is not None or items is not None else _without_rare(dataset, rows, config)
    report = ReadReport(
        files=intake.files,
        rows=intake.n_rows,
        rejects=intake.rejects,
        merged=intake.n_rows - len(intake.rejects) - len(rows),
        dropped_pairs=len(dataset) - len(kept),
        dropped_users=dataset.n_users - kept.n_users,
        dropped_items=dataset.n_items - kept.n_items,
        pairs=len(kept),
        new_users=kept.n_users - len(users or ()),
        new_items=kept.n_items - len(items or ()),
    )
    return Reading(kept, report)


def read_together(
    files: Mapping[str, Paths], config: DataConfig, *, strict: bool = False
) -> dict[str, Reading]:
    """Read several data sets (train, seen, test) over one pair of vocabularies, which they then share.

    The first one's ids come first, so a row beyond `report.new_users` or `report.new_items` of its reading is
    unknown to it. The minimum numbers of interactions apply to the first one only.
    """
    readings: dict[str, Reading] = {}
    last: Dataset | None = None
    for name, paths in files.items():
        users, items = (last.users, last.items) if last else (None, None)
        readings[name] = read_interactions(paths, config, strict=strict, users=users, items=items)
        last = readings[name].dataset
    return {name: _over_the_last(reading, last) for name, reading in readings.items() if last}


def _over_the_last(reading: Reading, last: Dataset) -> Reading:
    """The reading over the longest vocabularies: they begin with the ones it has, so no row changes."""
    return replace(reading, dataset=replace(reading.dataset, users=last.users, items=last.items))


def _check_thresholds(config: DataConfig) -> None:
    like, dislike = config.like_threshold, config.dislike_threshold
    if like is not None and dislike is not None and dislike >= like:
        raise ConfigError(
            f"dislike_threshold {dislike:g} reaches like_threshold {like:g}: "
            f"a rating of {dislike:g} would be both; lower the first or raise the second"
        )


def _judge(rows: Rows, config: DataConfig, users: Vocabulary, items: Vocabulary) -> Dataset:
    like, dislike = config.like_threshold, config.dislike_threshold
    # Both sides in single precision: 4.1 from a file must reach a threshold of 4.1.
    disliked = np.zeros(len(rows), bool) if dislike is None else rows.ratings <= np.float32(dislike)
    liked = ~disliked if like is None else rows.ratings >= np.float32(like)
    return Dataset(
        users, items, rows.user_rows, rows.item_rows, liked, disliked & ~liked, rows.weights, rows.timestamps
    )


def _without_rare(dataset: Dataset, rows: Rows, config: DataConfig) -> Dataset:
    """The pairs of users and items that have enough liked pairs, over vocabularies of just these."""
    if not dataset.liked.any():
        raise DataError(_nothing_liked(rows, config))
    liked = dataset.take(dataset.liked)
    min_user, min_item = config.min_user_interactions, config.min_item_interactions
    users, items = frequent(liked.user_rows, liked.item_rows, min_user=min_user, min_item=min_item)
    keep = _at(users, dataset.user_rows) & _at(items, dataset.item_rows)
    if not keep.any():
        raise DataError(
            f"no users remain who like {min_user} items each, each liked by {min_item} users; "
            "lower --min-user-interactions or --min-item-interactions"
        )
    return dataset if keep.all() else dataset.take(keep).compact()


def _at(mask: NDArray[np.bool_], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """`mask[rows]`, False beyond the mask's end."""
    inside = rows < len(mask)
    return inside & mask[np.where(inside, rows, 0)]


def _nothing_liked(rows: Rows, config: DataConfig) -> str:
    low, high = float(rows.ratings.min()), float(rows.ratings.max())
    return (
        f"no pair is liked: ratings go from {low:g} to {high:g}, like_threshold is {config.like_threshold}, "
        f"dislike_threshold {config.dislike_threshold}; choose thresholds within that range"
    )

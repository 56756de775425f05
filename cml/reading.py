"""From interaction files to a data set: every row is used, merged, or rejected with its line and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cml.columns import Ids, as_mask, numbers, seconds, texts
from cml.config import DataConfig
from cml.dataset import Dataset
from cml.errors import ConfigError, DataError
from cml.formats import Headerless, Layout, recognise, shown
from cml.merging import Rows, frequent, merge
from cml.rejects import Reason, Reject, Rejects
from cml.tables import Chunk, read_chunks
from cml.vocabulary import Vocabulary

Paths = Path | Sequence[Path]

MOVIELENS = [
    Headerless("MovieLens u.data", "\t", ("user_id", "item_id", "rating", "timestamp"), digits=(0, 1, 3)),
    Headerless("MovieLens ratings.dat", "::", ("user_id", "item_id", "rating", "timestamp"), digits=(3,)),
    Headerless(
        "Last.fm 360K",
        "\t",
        ("user_id", "artist_mbid", "item_id", "weight"),
        digits=(3,),
        file_prefix="usersha1-",
    ),
]
# What public data sets call the columns; used where the default name is absent and none was asked for.
ALIASES = {
    "user_column": ("userId", "userID"),
    "item_column": ("movieId", "book_id", "parent_asin", "artistID"),
}

MISSING_USER = Reason("missing user id", "fill it in or drop the row")
MISSING_ITEM = Reason("missing item id", "fill it in or drop the row")
MISSING_RATING = Reason(
    "missing rating, which the like or dislike threshold needs", "fill it in or drop the row"
)
BAD_RATING = Reason("rating is not a number", "fix it or drop the row")
BAD_WEIGHT = Reason("weight is not a positive number", "fix it or drop the row")
BAD_TIME = Reason("timestamp is not seconds, milliseconds or ISO 8601", "fix it or drop the row")


@dataclass(frozen=True)
class ReadReport:
    """What became of the rows: `rows == rejected + merged + dropped_pairs + pairs`."""

    files: Mapping[str, str]  # path -> layout it was recognised as
    rows: int
    rejects: Rejects
    merged: int  # rows that went into another row of the same pair
    dropped_pairs: int  # by the minimum numbers of liked pairs, as are the next two
    dropped_users: int
    dropped_items: int
    pairs: int
    new_users: int  # ids beyond the vocabulary that was handed in; without one: all
    new_items: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        numbers = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("files", "rejects")
        }
        return {
            "files": dict(self.files),
            **numbers,
            "rejected": dict(self.rejects.counts),
            "first_rejected": [str(reject) for reject in self.rejects.first],
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

    strict: raise at the first rejected row. Raises DataError when a file cannot be read or nothing in it is
    usable, ConfigError when the thresholds contradict each other.
    """
    _check_thresholds(config)
    reader = _Reader(config, strict, Ids(users or ()), Ids(items or ()))
    for path in [paths] if isinstance(paths, Path) else paths:
        reader.read(Path(path))
    rows = reader.usable_rows()
    merged = merge(rows, config.duplicates)
    dataset = _dataset(merged, config, Vocabulary(reader.users), Vocabulary(reader.items))
    kept = dataset if users is not None or items is not None else _without_rare(dataset, merged, config)
    report = ReadReport(
        files=reader.files,
        rows=reader.n_rows,
        rejects=reader.rejects,
        merged=len(rows) - len(merged),
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

    The first one's ids come first, so that the rows of the others beyond them are unknown to it; the minimum
    numbers of interactions apply to the first one only.
    """
    readings: dict[str, Reading] = {}
    users, items = None, None
    for name, paths in files.items():
        readings[name] = read_interactions(paths, config, strict=strict, users=users, items=items)
        users, items = readings[name].dataset.users, readings[name].dataset.items
    return {
        name: replace(reading, dataset=replace(reading.dataset, users=users, items=items))
        for name, reading in readings.items()
    }


def find_columns(path: Path, layout: Layout, config: DataConfig) -> dict[str, str]:
    """Which column plays which part (`user_column`, ...): asked for, by default, or by a public data set's name.

    Raises DataError when a needed column, or one that was asked for, is absent.
    """
    found: dict[str, str] = {}
    for part, default in DataConfig().model_dump(include=set(_PARTS)).items():
        wanted = getattr(config, part)
        names = (wanted, *ALIASES.get(part, ())) if wanted == default else (wanted,)
        column = next((name for name in names if name in layout.columns), None)
        if column:
            found[part] = column
        elif _needed(part, config) or wanted != default:
            raise DataError(
                f"{path}: has no column {wanted!r} (read as {layout.name}; columns: {shown(layout.columns)}); "
                f"name the right one with --{part.replace('_', '-')}, or give the file a header line"
            )
    return found


_PARTS = ("user_column", "item_column", "rating_column", "timestamp_column", "weight_column")


def _needed(part: str, config: DataConfig) -> bool:
    return part in ("user_column", "item_column") or (part == "rating_column" and _judged(config))


def _judged(config: DataConfig) -> bool:
    """Whether ratings decide what is liked or disliked."""
    return config.like_threshold is not None or config.dislike_threshold is not None


def _check_thresholds(config: DataConfig) -> None:
    like, dislike = config.like_threshold, config.dislike_threshold
    if like is not None and dislike is not None and dislike >= like:
        raise ConfigError(
            f"dislike_threshold {dislike:g} reaches like_threshold {like:g}: a rating of {dislike:g} would be both; "
            "lower the first or raise the second"
        )


@dataclass
class _Reader:
    """Collects the usable rows of any number of files; ids become rows chunk by chunk, so memory stays small."""

    config: DataConfig
    strict: bool
    users: Ids
    items: Ids
    files: dict[str, str] = field(default_factory=dict)
    rejects: Rejects = field(default_factory=Rejects)
    n_rows: int = 0
    _parts: list[Rows] = field(default_factory=list)

    def read(self, path: Path) -> None:
        layout = recognise(path, MOVIELENS)
        columns = find_columns(path, layout, self.config)
        wanted = list(dict.fromkeys(columns.values()))
        ids = {columns["user_column"], columns["item_column"]}
        self.files[str(path)] = layout.name
        for chunk in read_chunks(path, layout, wanted, ids=ids):
            self.n_rows += len(chunk) + len(chunk.broken)
            for reject in chunk.broken:
                self.rejects.add(reject)
            self._refuse_if_strict()
            self._take({part: chunk.columns[name] for part, name in columns.items()}, chunk, path)

    def usable_rows(self) -> Rows:
        """All rows so far in one piece; raises DataError when there is none."""
        if not any(len(part) for part in self._parts):
            raise DataError(self._nothing_usable())
        columns = zip(
            *((p.user_rows, p.item_rows, p.ratings, p.weights, p.timestamps) for p in self._parts),
            strict=True,
        )
        self._parts = []
        return Rows(*(np.concatenate(arrays) for arrays in columns))

    def _take(self, columns: Mapping[str, pa.ChunkedArray], chunk: Chunk, path: Path) -> None:
        users = texts(columns["user_column"], f"{path}: column {self.config.user_column!r}")
        items = texts(columns["item_column"], f"{path}: column {self.config.item_column!r}")
        ratings, bad_ratings = self._numbers(columns.get("rating_column"), len(chunk))
        weights, bad_weights = self._numbers(columns.get("weight_column"), len(chunk))
        times, bad_times = self._seconds(columns.get("timestamp_column"), len(chunk))
        usable = np.ones(len(chunk), dtype=bool)
        for part, wrong, reason in (
            ("user_column", as_mask(users.is_null()), MISSING_USER),
            ("item_column", as_mask(items.is_null()), MISSING_ITEM),
            ("rating_column", bad_ratings, BAD_RATING),
            ("rating_column", np.isnan(ratings) if _judged(self.config) else ~usable, MISSING_RATING),
            ("weight_column", bad_weights | (weights <= 0), BAD_WEIGHT),
            ("timestamp_column", bad_times, BAD_TIME),
        ):
            self._reject(np.flatnonzero(usable & wrong), columns.get(part), chunk, path, reason)
            usable &= ~wrong
        self._refuse_if_strict()
        mask = pa.array(usable)
        self._parts.append(
            Rows(
                self.users.rows(users if usable.all() else users.filter(mask)),
                self.items.rows(items if usable.all() else items.filter(mask)),
                ratings[usable].astype(np.float32),
                np.nan_to_num(weights[usable], nan=1.0).astype(np.float32),
                times[usable],
            )
        )

    def _numbers(
        self, column: pa.ChunkedArray | None, n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return (np.full(n, np.nan), np.zeros(n, dtype=bool)) if column is None else numbers(column)

    def _seconds(
        self, column: pa.ChunkedArray | None, n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return (np.full(n, np.nan), np.zeros(n, dtype=bool)) if column is None else seconds(column)

    def _reject(
        self, at: NDArray[np.int64], column: pa.ChunkedArray | None, chunk: Chunk, path: Path, reason: Reason
    ) -> None:
        if not len(at):
            return
        located = []
        for index in map(int, at[: self.rejects.wants(reason)]):
            value = column[index].as_py() if column is not None else None
            located.append(Reject(path, chunk.line_of(index), "" if value is None else str(value), reason))
        self.rejects.add_counted(reason, len(at), located)

    def _refuse_if_strict(self) -> None:
        if self.strict and self.rejects.first:
            first = min(self.rejects.first, key=lambda reject: reject.line)
            raise DataError(f"{first} (strict: the file is refused)")

    def _nothing_usable(self) -> str:
        names = ", ".join(self.files)
        if not self.n_rows:
            return f"{names}: no rows below the header; is this the right file?"
        reasons = "; ".join(f"{n:,} x {name}" for name, n in self.rejects.counts.items())
        return f"{names}: none of {self.n_rows:,} rows is usable ({reasons}); first: {self.rejects.first[0]}"


def _dataset(rows: Rows, config: DataConfig, users: Vocabulary, items: Vocabulary) -> Dataset:
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
    minima = {"min_user": config.min_user_interactions, "min_item": config.min_item_interactions}
    users, items = frequent(liked.user_rows, liked.item_rows, **minima)
    keep = _at(users, dataset.user_rows) & _at(items, dataset.item_rows)
    if not keep.any():
        raise DataError(
            f"no user has {config.min_user_interactions} liked items that {config.min_item_interactions} users like; "
            "lower --min-user-interactions or --min-item-interactions"
        )
    return dataset if keep.all() else dataset.take(keep).compact()


def _at(mask: NDArray[np.bool_], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """`mask[rows]`, False beyond the mask's end."""
    inside = rows < len(mask)
    return inside & mask[np.where(inside, rows, 0)]


def _nothing_liked(rows: Rows, config: DataConfig) -> str:
    low, high = float(np.nanmin(rows.ratings)), float(np.nanmax(rows.ratings))
    return (
        f"no pair is liked: ratings go from {low:g} to {high:g}, like_threshold is {config.like_threshold}, "
        f"dislike_threshold {config.dislike_threshold}; choose thresholds within that range"
    )

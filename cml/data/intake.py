"""Rows of interaction files, checked: a row is usable as a whole, or rejected with its line and a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cml.config import DataConfig
from cml.data.columns import Ids, as_mask, numbers, seconds, texts
from cml.data.formats import Headerless, Layout, recognise, shown
from cml.data.merging import Rows
from cml.data.rejects import Reason, Reject, Rejects
from cml.data.tables import Chunk, read_chunks
from cml.errors import DataError

Parser = Callable[[pa.ChunkedArray], tuple[NDArray[np.float64], NDArray[np.bool_]]]

HEADERLESS = [
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

# Settings that name columns, with what public data sets call them instead: such a name is taken where the
# default is absent and nobody asked for another.
COLUMN_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "user_column": ("userId", "userID"),
    "item_column": ("movieId", "book_id", "parent_asin", "artistID"),
    "rating_column": (),
    "timestamp_column": (),
    "weight_column": (),
}

MISSING_USER = Reason("missing user id", "fill it in or drop the row")
MISSING_ITEM = Reason("missing item id", "fill it in or drop the row")
MISSING_RATING = Reason("missing rating, which the thresholds need", "fill it in or drop the row")
LEAST, MOST = 1e-30, 1e30  # of what float32 can hold, with room for sums
BAD_RATING = Reason("rating is not a number", "fix it or drop the row")
BIG_RATING = Reason(f"rating is beyond {MOST:g}", "fix it or drop the row")
BAD_WEIGHT = Reason("weight is not a positive number", "fix it or drop the row")
EXTREME_WEIGHT = Reason(f"weight is not within {LEAST:g} to {MOST:g}", "scale the column or drop the row")
BAD_TIME = Reason("timestamp is neither seconds, milliseconds nor ISO 8601", "fix it or drop the row")


def needs_ratings(config: DataConfig) -> bool:
    """Whether ratings decide what is liked or disliked."""
    return config.like_threshold is not None or config.dislike_threshold is not None


def find_columns(path: Path, layout: Layout, config: DataConfig) -> dict[str, str]:
    """The file's column for each setting in `COLUMN_SETTINGS`; optional ones may be absent.

    Raises DataError when a needed column, or one that was asked for by name, is not in the file, or
    when users and items would be the same.
    """
    found: dict[str, str] = {}
    needed = {"user_column", "item_column"} | ({"rating_column"} if needs_ratings(config) else set())
    for setting, aliases in COLUMN_SETTINGS.items():
        wanted = getattr(config, setting)
        asked_for = wanted != DataConfig.model_fields[setting].default
        names = (wanted,) if asked_for else (wanted, *aliases)
        column = next((name for name in names if name in layout.columns), None)
        if column:
            found[setting] = column
        elif asked_for or setting in needed:
            flag = setting.replace("_", "-")
            raise DataError(
                f"{path}: has no column {wanted!r} (read as {layout.name}, columns {shown(layout.columns)}); "
                f"name the right one with --{flag}, or give the file a header line"
            )
    if found["user_column"] == found["item_column"]:
        raise DataError(
            f"{path}: column {found['user_column']!r} cannot hold both users and items; "
            "name two columns with --user-column and --item-column"
        )
    return found


@dataclass
class Intake:
    """Collects the usable rows of any number of files.

    Ids become rows chunk by chunk, so that memory holds numbers and distinct ids only, never the file. With
    `strict`, the first rejected row raises DataError.
    """

    config: DataConfig
    strict: bool
    users: Ids
    items: Ids
    files: dict[str, str] = field(default_factory=dict)  # path -> layout it was recognised as
    rejects: Rejects = field(default_factory=Rejects)
    n_rows: int = 0
    _parts: list[Rows] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Take in one file. Raises DataError when it cannot be read or has not the columns."""
        layout = recognise(path, HEADERLESS)
        columns = find_columns(path, layout, self.config)
        wanted = list(dict.fromkeys(columns.values()))
        ids = {columns["user_column"], columns["item_column"]}
        self.files[str(path)] = layout.name
        for chunk in read_chunks(path, layout, wanted, ids=ids):
            self.n_rows += len(chunk) + len(chunk.broken)
            for reject in chunk.broken:
                self.rejects.add(reject)
            self._take(_Checked(path, chunk, columns, needs_ratings(self.config)))
            if self.strict and len(self.rejects):
                raise DataError(f"{self.rejects.by_line()[0]} (strict: the file is refused)")

    def rows(self) -> Rows:
        """Hand over all usable rows, in file order; raises DataError when there is none."""
        if not any(len(part) for part in self._parts):
            raise DataError(self._nothing_usable())
        parts, self._parts = self._parts, []
        return Rows.joined(parts)

    def _take(self, checked: _Checked) -> None:
        for reason, at in checked.wrong():
            located = [checked.reject(reason, int(index)) for index in at[: self.rejects.wants(reason)]]
            self.rejects.add_counted(reason, len(at), located)
        self._parts.append(checked.rows(self.users, self.items))

    def _nothing_usable(self) -> str:
        names = ", ".join(self.files)
        if not self.n_rows:
            return f"{names}: no rows below the header; is this the right file?"
        counts = sorted(self.rejects.counts.items(), key=lambda found: (-found[1], found[0]))
        reasons = "; ".join(f"{n:,} x {name}" for name, n in counts)
        return (
            f"{names}: none of {self.n_rows:,} rows is usable ({reasons}); first: {self.rejects.by_line()[0]}"
        )


class _Checked:
    """One chunk with its columns parsed, and which of its rows are usable."""

    def __init__(self, path: Path, chunk: Chunk, columns: Mapping[str, str], ratings_needed: bool) -> None:
        self._path, self._chunk = path, chunk
        self._columns = {setting: chunk.columns[name] for setting, name in columns.items()}
        self._users = texts(self._columns["user_column"], f"{path}: column {columns['user_column']!r}")
        self._items = texts(self._columns["item_column"], f"{path}: column {columns['item_column']!r}")
        self._ratings, bad_rating = self._parsed("rating_column", numbers)
        self._weights, bad_weight = self._parsed("weight_column", numbers)
        self._times, bad_time = self._parsed("timestamp_column", seconds)
        self._checks = [
            (MISSING_USER, "user_column", as_mask(self._users.is_null())),
            (MISSING_ITEM, "item_column", as_mask(self._items.is_null())),
            (BAD_RATING, "rating_column", bad_rating),
            (BIG_RATING, "rating_column", np.abs(self._ratings) > MOST),
            (BAD_WEIGHT, "weight_column", bad_weight | (self._weights <= 0)),
            (EXTREME_WEIGHT, "weight_column", (self._weights < LEAST) | (self._weights > MOST)),
            (BAD_TIME, "timestamp_column", bad_time),
        ]
        if ratings_needed:
            self._checks.append((MISSING_RATING, "rating_column", np.isnan(self._ratings)))
        self._usable = ~np.logical_or.reduce([wrong for _, _, wrong in self._checks])

    def wrong(self) -> list[tuple[Reason, NDArray[np.int64]]]:
        """Positions of the rejected rows by reason; a row with several counts for the first one only."""
        found = []
        open_to_blame = ~self._usable
        for reason, _, wrong in self._checks:
            found.append((reason, np.flatnonzero(wrong & open_to_blame)))
            open_to_blame &= ~wrong
        return [(reason, at) for reason, at in found if len(at)]

    def reject(self, reason: Reason, index: int) -> Reject:
        """One rejected row, located in its file."""
        setting = next(setting for known, setting, _ in self._checks if known is reason)
        value = self._columns[setting][index].as_py()
        return Reject(self._path, self._chunk.line_of(index), "" if value is None else str(value), reason)

    def rows(self, users: Ids, items: Ids) -> Rows:
        """The usable rows; ids that are new enter `users` and `items`."""
        usable = self._usable
        all_usable = bool(usable.all())
        mask = pa.array(usable)
        return Rows(
            users.rows(self._users if all_usable else self._users.filter(mask)),
            items.rows(self._items if all_usable else self._items.filter(mask)),
            self._ratings[usable].astype(np.float32),
            np.nan_to_num(self._weights[usable], nan=1.0).astype(np.float32),
            self._times[usable],
        )

    def _parsed(self, setting: str, parse: Parser) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        if setting in self._columns:
            return parse(self._columns[setting])
        return np.full(len(self._chunk), np.nan), np.zeros(len(self._chunk), dtype=bool)

"""The item tables of MovieLens and MovieTweetings: layouts without a header, years inside titles."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from cml.data.formats import Headerless, Layout

GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
NO_GENRES = "(no genres listed)"
TITLE_AND_YEAR = r"^(?P<title>.*\S)\s*\((?P<year>\d{4})\)\s*$"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

U_ITEM = Headerless(
    "MovieLens u.item", "|", ("item_id", "title", "release_date", "video_release_date", "imdb_url", *GENRES)
)
MOVIES_DAT = Headerless("MovieLens movies.dat", "::", ("item_id", "title", "genres"))
MOVIES_CSV = ("movieId", "title", "genres")
ITEM_LAYOUTS = (U_ITEM, MOVIES_DAT)

Columns = Mapping[str, pa.ChunkedArray]


def as_plain_columns(layout: Layout, columns: Columns) -> Columns:
    """The columns of these layouts as any other table would have them; other layouts' columns unchanged.

    `Toy Story (1995)` becomes title and year, the genre flags of u.item a list, its dates ISO 8601.
    """
    if layout.name == U_ITEM.name:
        return _with_year(_of_u_item(columns))
    if layout.name == MOVIES_DAT.name or layout.columns == MOVIES_CSV:
        return _with_year(columns)
    return columns


def _of_u_item(columns: Columns) -> Columns:
    flags = [columns[genre].to_pylist() for genre in GENRES]
    genres = [
        "|".join(g for g, flag in zip(GENRES, row, strict=True) if flag == "1") or None
        for row in zip(*flags, strict=True)
    ]
    return {
        "item_id": columns["item_id"],
        "title": columns["title"],
        "release_date": _each(_iso_day, columns["release_date"]),
        "genres": pa.chunked_array([pa.array(genres, type=pa.string())]),
        "imdb_url": columns["imdb_url"],
    }


def _with_year(columns: Columns) -> Columns:
    parts = pc.extract_regex(columns["title"], TITLE_AND_YEAR)
    title = pc.coalesce(pc.struct_field(parts, "title"), columns["title"])
    split = {"title": title, "year": pc.struct_field(parts, "year")}
    rest = {name: column for name, column in columns.items() if name != "title"}
    if "genres" in rest:
        listed = pc.not_equal(rest["genres"], NO_GENRES)
        rest["genres"] = pc.if_else(listed, rest["genres"], pa.scalar(None, pa.string()))
    identity = next(iter(columns))
    return {identity: rest.pop(identity), **split, **rest}


def _iso_day(text: str) -> str:
    """`01-Jan-1995` as `1995-01-01`; anything else unchanged."""
    day, _, rest = text.partition("-")
    month, _, year = rest.partition("-")
    return f"{year}-{MONTHS.index(month) + 1:02d}-{day:0>2}" if month in MONTHS else text


def _each(change: Callable[[str], str], column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [None if value is None else change(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, type=pa.string())])

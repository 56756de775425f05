from __future__ import annotations

import json

import pandas as pd
import pytest

from cml.bundled import bundled_interactions, bundled_items
from cml.config import DataConfig
from cml.data.items import read_item_table, read_items
from cml.data.movielens import GENRES
from cml.data.reading import read_interactions
from cml.errors import ConfigError, DataError
from cml.vocabulary import Vocabulary
from tests.cml.data_files import write_rows, write_text

ITEMS = Vocabulary(["b", "a", "007"])


def test_metadata_stands_at_the_items_row_whatever_the_tables_order(tmp_path):
    rows = [("a", "Alpha"), ("other", "Other"), ("b", "Beta")]
    reading = read_item_table(write_rows(tmp_path / "x.csv", ["item_id", "title"], rows), ITEMS)
    assert [reading.catalogue.title(row) for row in range(3)] == ["Beta", "Alpha", None]
    report = reading.report
    assert (report.rows, report.matched, report.unmatched, report.unused) == (3, 2, 1, 1)


def test_columns_are_typed_by_what_they_hold(tmp_path):
    header = ["item_id", "title", "year", "genres", "added", "cast", "zip", "note", "empty"]
    rows = [
        ("a", "1984", "1984", "Drama", "2001-05-06", "Ann|Bob", "007", "5 | x", ""),
        ("b", "2012", "-3.5", "Drama | War|", "2001-05-06T12:00:00Z", "Cid", "123", "", ""),
    ]
    reading = read_item_table(write_rows(tmp_path / "x.csv", header, rows), ITEMS)
    assert reading.report.kinds == {
        "title": "text",
        "year": "number",
        "genres": "tags",
        "added": "date",
        "cast": "tags",
        "zip": "text",
        "note": "tags",
        "empty": "text",
    }
    assert reading.catalogue.record(1) == {
        "title": "1984",
        "year": 1984,
        "genres": ["Drama"],
        "added": "2001-05-06",
        "cast": ["Ann", "Bob"],
        "zip": "007",
        "note": ["5", "x"],
    }
    assert reading.catalogue.record(0)["genres"] == ["Drama", "War"]
    assert reading.catalogue.record(0)["added"] == "2001-05-06T12:00:00Z"


def test_kinds_can_be_overridden(tmp_path):
    path = write_rows(tmp_path / "x.csv", ["item_id", "code", "note"], [("a", "12", "x|y"), ("b", "13", "z")])
    reading = read_item_table(path, ITEMS, kinds={"code": "text", "note": "text"})
    assert reading.catalogue.record(1) == {"code": "12", "note": "x|y"}
    with pytest.raises(ConfigError, match="no column 'colour' to read as tags"):
        read_items(path, ITEMS, kinds={"colour": "tags"})
    with pytest.raises(ConfigError, match="kind 'tgas' is not one of text, tags, number, date"):
        read_items(path, ITEMS, kinds={"code": "tgas"})


def test_a_few_odd_values_do_not_turn_numbers_into_text(tmp_path):
    rows = [(f"i{n}", 1900 + n) for n in range(50)] + [("a", "unknown")]
    reading = read_item_table(write_rows(tmp_path / "x.csv", ["item_id", "year"], rows), ITEMS)
    assert reading.report.kinds == {"year": "number"}
    assert reading.report.unreadable == {"year": ["unknown"]}
    assert reading.catalogue.record(1) == {}


def test_of_an_items_rows_the_first_counts_and_rejects_name_their_line(tmp_path):
    path = write_text(tmp_path / "x.csv", 'item_id,title\na,"first\nrow"\na,second\n,none\nb\n007,Bond\n')
    reading = read_item_table(path, ITEMS)
    assert [reading.catalogue.title(row) for row in range(3)] == [None, "first\nrow", "Bond"]
    assert {(r.line, r.value) for r in reading.report.rejects.first} == {(4, "a"), (5, ""), (6, "b")}
    with pytest.raises(DataError, match="strict"):
        read_items(path, ITEMS, strict=True)


def test_json_lines_and_parquet_may_hold_lists(tmp_path):
    records = [{"item_id": "a", "genres": ["War", "Drama"], "year": 1999}, {"item_id": "b", "genres": []}]
    lines = write_text(tmp_path / "x.jsonl", "\n".join(map(json.dumps, records)))
    pd.DataFrame(records).to_parquet(tmp_path / "x.parquet")
    for path in (lines, tmp_path / "x.parquet"):
        catalogue = read_items(path, ITEMS)
        assert catalogue.record(1) == {"genres": ["War", "Drama"], "year": 1999}
        assert catalogue.record(0) == {}


def test_u_item_has_titles_years_dates_and_genres(tmp_path):
    flags = "|".join("1" if genre in ("Comedy", "Children's") else "0" for genre in GENRES)
    text = f"7|Misérables, Les (1995)|20-Oct-1995||http://x|{flags}\n8|unknown||||1{'|0' * 18}\n"
    path = write_text(tmp_path / "u.item", text, encoding="latin-1")
    reading = read_item_table(path, Vocabulary(["7", "8"]))
    assert reading.report.layout == "MovieLens u.item"
    assert reading.catalogue.record(0) == {
        "title": "Misérables, Les",
        "year": 1995,
        "release_date": "1995-10-20",
        "genres": ["Children's", "Comedy"],
        "imdb_url": "http://x",
    }
    assert reading.catalogue.record(1) == {"title": "unknown", "genres": ["unknown"]}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_movies_dat_comes_in_both_encodings(tmp_path, encoding):
    text = '0001::Amélie: a "film" (2001)::Comedy|Romance\n0002::No year::\n'
    catalogue = read_items(
        write_text(tmp_path / "movies.dat", text, encoding=encoding), Vocabulary(["0001", "0002"])
    )
    assert catalogue.record(0) == {"title": 'Amélie: a "film"', "year": 2001, "genres": ["Comedy", "Romance"]}
    assert catalogue.record(1) == {"title": "No year"}


def test_movies_csv_needs_no_flags(tmp_path):
    text = 'movieId,title,genres\n1,"American President, The (1995)",Comedy\n2,X (2000),(no genres listed)\n'
    catalogue = read_items(write_text(tmp_path / "movies.csv", text), Vocabulary(["1", "2"]))
    assert catalogue.record(0) == {"title": "American President, The", "year": 1995, "genres": ["Comedy"]}
    assert catalogue.record(1) == {"title": "X", "year": 2000}


def test_tables_without_ids_are_refused(tmp_path):
    with pytest.raises(DataError, match="no column 'item_id'"):
        read_items(write_text(tmp_path / "a.csv", "name,year\nx,1\n"), ITEMS)
    with pytest.raises(DataError, match=r"none of 1 rows has a usable item id; first: .*a\.csv:2"):
        read_items(write_text(tmp_path / "a.csv", "item_id,year\n,1\n"), ITEMS)


def test_every_bundled_film_has_a_title_a_year_and_genres():
    items = read_interactions(bundled_interactions(), DataConfig()).dataset.items
    reading = read_item_table(bundled_items(), items)
    assert len(items) == 2414
    assert (reading.report.matched, reading.report.unused, len(reading.report.rejects)) == (2414, 0, 0)
    assert all(set(reading.catalogue.record(row)) == {"title", "year", "genres"} for row in range(len(items)))

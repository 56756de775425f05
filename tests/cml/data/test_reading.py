"""What is made of rows: likes, rare ids left out, several data sets over one pair of vocabularies."""

from __future__ import annotations

import pytest

from cml.config import DataConfig
from cml.data.reading import read_together
from cml.errors import ConfigError, DataError
from tests.cml.data_files import pairs_of, read, write_rows


def test_thresholds_decide_what_is_liked_disliked_or_only_seen(tmp_path):
    rows = [("u", f"i{n}", rating) for n, rating in enumerate(["4.1", "4.0999", "2", "2.1", "5"])]
    path = write_rows(
        tmp_path / "x.csv", ["user_id", "item_id", "rating"], [*rows, *(("v", r[1], 5) for r in rows)]
    )
    dataset = read(path, DataConfig(like_threshold=4.1, dislike_threshold=2)).dataset
    assert dataset.liked[:5].tolist() == [True, False, False, False, True]
    assert dataset.disliked[:5].tolist() == [False, False, True, False, False]


def test_without_thresholds_every_pair_is_liked_and_a_missing_rating_does_not_matter(tmp_path):
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id", "rating"], [("u", "x", ""), ("u", "y", 1)])
    assert read(path).dataset.liked.all()
    rejects = read(path, DataConfig(like_threshold=1)).report.rejects
    assert [(r.line, r.reason.name) for r in rejects.first] == [
        (2, "missing rating, which the thresholds need")
    ]


def test_thresholds_that_contradict_each_other_or_the_data_are_refused(tmp_path):
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id", "rating"], [("u", "x", 3)])
    with pytest.raises(ConfigError, match="would be both"):
        read(path, DataConfig(like_threshold=3, dislike_threshold=3))
    with pytest.raises(DataError, match="ratings go from 3 to 3"):
        read(path, DataConfig(like_threshold=7))


def test_rare_users_and_items_are_left_out_together_with_their_ids(tmp_path):
    rows = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x"), ("a", "z")]
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id"], [*rows, ("a", ""), ("a", "z")])
    reading = read(path, DataConfig(min_user_interactions=2, min_item_interactions=2))
    assert pairs_of(reading.dataset) == rows[:4]
    assert (list(reading.dataset.users), list(reading.dataset.items)) == (["a", "b"], ["x", "y"])
    report = reading.report
    assert report.rows == len(report.rejects) + report.merged + report.dropped_pairs + report.pairs == 8
    assert (report.dropped_pairs, report.dropped_users, report.dropped_items) == (2, 1, 1)
    with pytest.raises(DataError, match="lower --min-user-interactions"):
        read(path, DataConfig(min_user_interactions=4))


def test_given_vocabularies_are_continued_and_nothing_is_lost(tmp_path):
    train = read(write_rows(tmp_path / "a.csv", ["user_id", "item_id"], [("u", "x"), ("v", "y")])).dataset
    path = write_rows(tmp_path / "b.csv", ["user_id", "item_id"], [("w", "x"), ("v", "z"), ("v", "y")])
    reading = read(path, DataConfig(min_user_interactions=2), users=train.users, items=train.items)
    assert (list(reading.dataset.users), list(reading.dataset.items)) == (["u", "v", "w"], ["x", "y", "z"])
    assert reading.dataset.user_rows.tolist() == [2, 1, 1]
    assert (reading.report.new_users, reading.report.new_items) == (1, 1)


def test_files_read_together_share_their_vocabularies(tmp_path):
    files = {
        name: write_rows(tmp_path / f"{name}.csv", ["user_id", "item_id"], rows)
        for name, rows in {
            "train": [("u", "x")],
            "seen": [("u", "y")],
            "test": [("v", "z"), ("u", "y")],
        }.items()
    }
    readings = read_together(files, DataConfig())
    datasets = {name: reading.dataset for name, reading in readings.items()}
    assert {name: pairs_of(dataset) for name, dataset in datasets.items()} == {
        "train": [("u", "x")],
        "seen": [("u", "y")],
        "test": [("v", "z"), ("u", "y")],
    }
    assert len({id(dataset.items) for dataset in datasets.values()}) == 1
    assert list(datasets["train"].items) == ["x", "y", "z"]

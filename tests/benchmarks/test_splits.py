"""The parts of a data set: disjoint, repeatable, and what the files say."""

from __future__ import annotations

from pathlib import Path

from benchmarks.splits import missing, read_parts
from cml.config import DataConfig
from cml.data.reading import read_interactions
from tests.benchmarks.worlds import USERS, tiny_parts, write_interactions
from tests.cml.data_files import pairs_of, write_rows

HEAD = ("user_id", "item_id")


def test_interactions_alone_are_split_per_user(tmp_path: Path) -> None:
    parts = tiny_parts(tmp_path)
    sizes = {name: len(pairs_of(getattr(parts, name))) for name in ("train", "valid", "test")}
    assert sizes == {"train": 6 * USERS, "valid": 2 * USERS, "test": 2 * USERS}
    pairs = [pair for name in sizes for pair in pairs_of(getattr(parts, name))]
    assert len(set(pairs)) == len(pairs) == 10 * USERS


def test_a_fifth_of_each_users_pairs_goes_to_validation_and_a_fifth_to_test(tmp_path: Path) -> None:
    write_rows(tmp_path / "interactions.csv", HEAD, [("a", f"i{n}") for n in range(20)])
    parts = read_parts(tmp_path, tmp_path / "work", seed=0)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [12, 4, 4]


def test_the_same_seed_gives_the_same_parts_and_another_one_others(tmp_path: Path) -> None:
    directory = write_interactions(tmp_path / "tiny")
    first, again, other = (
        pairs_of(read_parts(directory, tmp_path / f"{number}", seed=seed).test)
        for number, seed in enumerate((0, 0, 1))
    )
    assert first == again
    assert first != other


def test_users_with_few_liked_pairs_are_left_out_of_a_split_of_our_own(tmp_path: Path) -> None:
    rows = [("few", f"i{n}", 5) for n in range(4)] + [("many", f"i{n}", 5) for n in range(5)]
    rows += [("many", "disliked", 1)]
    (tmp_path / "rated").mkdir()
    write_rows(tmp_path / "rated" / "interactions.csv", (*HEAD, "rating"), rows)
    parts = read_parts(tmp_path / "rated", tmp_path / "work", seed=0, like_threshold=4)
    pairs = [pair for name in ("train", "valid", "test") for pair in pairs_of(getattr(parts, name))]
    assert sorted(pairs) == [("many", f"i{n}") for n in range(5)]


def test_a_set_with_two_parts_gets_validation_pairs_from_training_alone(tmp_path: Path) -> None:
    rows = [("a", f"i{n}") for n in range(10)]
    write_rows(tmp_path / "train.csv", HEAD, rows[:9])
    write_rows(tmp_path / "test.csv", HEAD, rows[9:])
    parts = read_parts(tmp_path, tmp_path / "work", seed=0)
    assert pairs_of(parts.test) == rows[9:]
    assert sorted(pairs_of(parts.train) + pairs_of(parts.valid)) == rows[:9]
    assert len(parts.valid) == 2


def test_given_parts_are_taken_as_they_are_and_written_as_they_were_taken(tmp_path: Path) -> None:
    given = {"train": [("a", "x"), ("b", "y")], "valid": [("a", "y")], "test": [("b", "x"), ("b", "new")]}
    for name, rows in given.items():
        write_rows(tmp_path / f"{name}.csv", HEAD, rows)
    parts = read_parts(tmp_path, tmp_path / "work", seed=0)
    for name, rows in given.items():
        assert pairs_of(getattr(parts, name)) == rows
        assert pairs_of(read_interactions(parts.files[name], DataConfig()).dataset) == rows


def test_test_lists_leave_out_validation_pairs_and_unknown_items_are_misses(tmp_path: Path) -> None:
    given = {"train": [("a", "x"), ("b", "y")], "valid": [("b", "x")], "test": [("b", "new"), ("a", "y")]}
    for name, rows in given.items():
        write_rows(tmp_path / f"{name}.csv", HEAD, rows)
    parts = read_parts(tmp_path, tmp_path / "work", seed=0)
    assert parts.to_choose.seen.toarray().tolist() == [[0, 1]]
    assert parts.to_judge.seen.astype(bool).toarray().tolist() == [[True, False], [True, True]]
    assert parts.to_judge.counts.tolist() == [1, 1]
    assert parts.to_judge.missing.tolist() == [0, 1]


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    assert "there is no such directory" in str(missing(tmp_path / "nowhere"))
    assert "interactions.csv.gz" in str(missing(tmp_path))
    assert missing(write_interactions(tmp_path / "tiny")) is None

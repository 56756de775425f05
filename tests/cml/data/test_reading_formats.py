"""Every kind of table: the same three pairs in each, and every id exactly, whatever size the blocks are."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cml.config import DataConfig
from cml.data import delimited
from cml.data.reading import read_interactions
from cml.errors import DataError
from tests.cml.data_files import IDS, SAME_TMP_PATH, pairs_of, read, write_rows, write_text

PAIRS = [("007", "a/b"), ("7", "Ünï ©"), ("007", "Ünï ©")]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_delimited_text_is_recognised_by_its_header(tmp_path, separator, suffix):
    lines = [separator.join(fields) for fields in [("user_id", "item_id"), *PAIRS]]
    path = write_text(tmp_path / f"pairs.txt{suffix}", "\n".join(lines) + "\n")
    assert pairs_of(read(path).dataset) == PAIRS


def test_json_lines_are_read_with_numbers_as_their_text(tmp_path):
    lines = [json.dumps({"item_id": item, "user_id": user}) for user, item in PAIRS]
    path = write_text(
        tmp_path / "pairs.jsonl", "\n".join([*lines, '{"user_id": 7, "item_id": 12345678901234567890}'])
    )
    assert pairs_of(read(path).dataset) == [*PAIRS, ("7", "12345678901234567890")]


def test_json_ids_that_lost_digits_are_rejected(tmp_path):
    lines = ['{"user_id": "a", "item_id": 1}', '{"user_id": "a", "item_id": 123456789012345678901234}']
    report = read(write_text(tmp_path / "x.jsonl", "\n".join(lines))).report
    assert str(report.rejects.first[0]).startswith(f"{tmp_path}/x.jsonl:2: ")


def test_parquet_keeps_strings_and_writes_integers_as_decimal_text(tmp_path):
    pd.DataFrame(PAIRS, columns=["user_id", "item_id"]).to_parquet(tmp_path / "s.parquet")
    pd.DataFrame({"user_id": [7, -1], "item_id": [2**63 - 1, 0]}).to_parquet(tmp_path / "i.parquet")
    pd.DataFrame({"user_id": pd.Categorical(["b", "a"]), "item_id": ["x", "x"]}).to_parquet(
        tmp_path / "c.parquet"
    )
    assert pairs_of(read(tmp_path / "s.parquet").dataset) == PAIRS
    assert pairs_of(read(tmp_path / "i.parquet").dataset) == [("7", "9223372036854775807"), ("-1", "0")]
    assert pairs_of(read(tmp_path / "c.parquet").dataset) == [("b", "x"), ("a", "x")]


def test_parquet_ids_that_became_floating_are_refused(tmp_path):
    pd.DataFrame({"user_id": [7.0, None], "item_id": ["x", "y"]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(DataError, match="'user_id': ids of type double are not exact"):
        read(tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("name", "text", "layout"),
    [
        ("u.data", "1\t10\t4\t881250949\n2\t10\t3\t881250950\n", "MovieLens u.data"),
        ("u1.base", "1\t10\t4\t881250949\n2\t10\t3\t881250950\n", "MovieLens u.data"),
        ("ratings.dat", "1::10::4::881250949\n2::10::3.0::881250950\n", "MovieLens ratings.dat"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,10,4.0,881250949\n2,10,3,881250950\n", "CSV"),
    ],
)
def test_movielens_layouts_need_no_flags(tmp_path, name, text, layout):
    path = write_text(tmp_path / name, text)
    reading = read(path, DataConfig(like_threshold=4))
    assert reading.report.files == {str(path): layout}
    assert pairs_of(reading.dataset) == [("1", "10")]  # user 2 likes nothing and is left out
    assert reading.dataset.timestamps.tolist() == [881250949.0]


def test_headers_of_other_public_data_sets_need_no_flags(tmp_path):
    for name, header in {"a": "user_id,parent_asin", "b": "user_id,book_id", "c": "userID\tartistID"}.items():
        path = write_text(tmp_path / name, header + "\n" + ("1\t2\n" if "\t" in header else "1,2\n"))
        assert pairs_of(read(path).dataset) == [("1", "2")]


def test_columns_are_mapped_by_name_and_others_are_ignored(tmp_path):
    path = write_text(tmp_path / "x.csv", "note,who,what,stars\nhello,ann,tea,4\nhello,bob,tea,2\n")
    config = DataConfig(user_column="who", item_column="what", rating_column="stars", dislike_threshold=2)
    dataset = read(path, config).dataset
    assert pairs_of(dataset) == [("ann", "tea")]  # bob likes nothing, and is left out


def test_several_files_make_one_data_set_with_rejects_by_file(tmp_path):
    first = write_text(tmp_path / "a.csv", "user_id,item_id\nu,x\nu,\n")
    second = write_text(tmp_path / "b.tsv", "item_id\tuser_id\ny\tu\n\tv\n")
    reading = read_interactions([first, second], DataConfig())
    assert pairs_of(reading.dataset) == [("u", "x"), ("u", "y")]
    assert [(r.path, r.line) for r in reading.report.rejects.first] == [(first, 3), (second, 3)]


@given(pairs=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=12, unique=True))
@SAME_TMP_PATH
def test_ids_come_back_exactly(tmp_path, pairs):
    path = write_rows(tmp_path / "ids.csv", ["user_id", "item_id"], pairs)
    assert pairs_of(read(path).dataset) == pairs


@given(pairs=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=12, unique=True))
@SAME_TMP_PATH
def test_ids_come_back_exactly_from_json_lines(tmp_path, pairs):
    lines = [json.dumps({"user_id": user, "item_id": item}) for user, item in pairs]
    assert pairs_of(read(write_text(tmp_path / "ids.jsonl", "\n".join(lines))).dataset) == pairs


@pytest.mark.parametrize("word", ["NA", "null", "nan", "None", "true", "1e5", " padded ", "0x10", "#N/A"])
def test_words_that_other_readers_interpret_are_ids_like_any_other(tmp_path, word):
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id"], [(word, "x"), ("u", word)])
    assert pairs_of(read(path).dataset) == [(word, "x"), ("u", word)]


def test_rows_number_ids_by_first_appearance(tmp_path):
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id"], [("b", "y"), ("a", "x"), ("b", "x")])
    dataset = read(path).dataset
    assert (list(dataset.users), list(dataset.items)) == (["b", "a"], ["y", "x"])


@given(
    rows=st.lists(st.tuples(IDS, st.text(st.sampled_from('a",\n'), max_size=5)), min_size=1, max_size=25),
    block=st.integers(1, 40),
)
@SAME_TMP_PATH
def test_blocks_of_any_size_give_the_same_rows_and_true_lines(tmp_path, rows, block):
    path = write_rows(tmp_path / "x.csv", ["user_id", "item_id"], rows)
    expected, lines, before = [], [], 1
    reader = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
    next(reader)
    for fields in reader:
        (expected if fields[1] else lines).append((fields[0], fields[1]) if fields[1] else before + 1)
        before = reader.line_num
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", block)
        if not expected:
            with pytest.raises(DataError, match="none of"):
                read(path)
            return
        reading = read(path, DataConfig(duplicates="first"))
    assert pairs_of(reading.dataset) == list(dict.fromkeys(expected))
    assert [reject.line for reject in reading.report.rejects.first] == lines[:3]


def test_a_large_file_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 1 << 12)
    rows = [(n % 97, n, n % 5 + 1, 1_000_000_000 + n) for n in range(5000)]
    path = write_rows(
        tmp_path / "x.csv", ["user_id", "item_id", "rating", "timestamp"], [*rows, ("u", "", 1, 1)]
    )
    reading = read(path)
    assert pairs_of(reading.dataset) == [(str(user), str(item)) for user, item, _, _ in rows]
    assert reading.dataset.timestamps.tolist() == [float(time) for *_, time in rows]
    assert [reject.line for reject in reading.report.rejects.first] == [5002]

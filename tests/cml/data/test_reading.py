from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cml.config import DataConfig
from cml.data import delimited
from cml.data.reading import read_interactions, read_together
from cml.errors import ConfigError, DataError
from tests.cml.data_files import pairs_of, write_rows, write_text

PLAIN = DataConfig()
SAME_TMP_PATH = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)

# Anything that can stand in a UTF-8 file; lone surrogates cannot, and a null byte or a bare carriage return
# ends a line or a field in more readers than not.
IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=6)


def read(path: Path, config: DataConfig = PLAIN, **options):
    return read_interactions(path, config, **options)


# Formats: the same three pairs in each.

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
    reading = read_interactions([first, second], PLAIN)
    assert pairs_of(reading.dataset) == [("u", "x"), ("u", "y")]
    assert [(r.path, r.line) for r in reading.report.rejects.first] == [(first, 3), (second, 3)]


# Ids.


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


# Rejects.


def test_each_reject_is_counted_once_with_its_line_value_reason_and_remedy(tmp_path):
    text = (
        "user_id,item_id,rating,weight,timestamp\n"
        "u,a,5,1,1000\n"
        ",b,5,1,1000\n"  # 3
        "u,,bad,1,1000\n"  # 4: two faults, one reject
        "u,c,five,1,1000\n"  # 5
        "u,d,5,0,1000\n"  # 6
        "u,e,5,1,yesterday\n"  # 7
        "\n"
        "u,f,5,1\n"  # 9
        "u,g,inf,1,1000\n"  # 10
        "u,h,,,\n"  # fine: nothing but the ids is needed
    )
    path = write_text(tmp_path / "x.csv", text)
    report = read(path).report
    found = {reject.line: (reject.value, reject.reason.name) for reject in report.rejects.first}
    assert found == {
        3: ("", "missing user id"),
        4: ("", "missing item id"),
        5: ("five", "rating is not a number"),
        6: ("0", "weight is not a positive number"),
        7: ("yesterday", "timestamp is neither seconds, milliseconds nor ISO 8601"),
        9: ("u,f,5,1", "not as many fields as the header"),
        10: ("inf", "rating is not a number"),
    }
    assert (report.rows, len(report.rejects), report.pairs) == (9, 7, 2)
    assert f"{path}:5: 'five', rating is not a number; fix it or drop the row" in report.rejects.lines()


@pytest.mark.filterwarnings("error")
def test_numbers_that_single_precision_cannot_hold_are_rejected(tmp_path):
    text = "user_id,item_id,rating,weight\nu,a,5,1e300\nu,b,5,1e-300\nu,c,-1e300,1\nu,d,1e29,1e29\nu,e,-5,1e-29\n"
    found = read(write_text(tmp_path / "x.csv", text))
    assert found.report.rejects.counts == {
        "weight is not within 1e-30 to 1e+30": 2,
        "rating is beyond 1e+30": 1,
    }
    assert (found.dataset.weights < 1e30).all()
    assert (found.dataset.weights > 0).all()


def test_users_and_items_cannot_be_one_column(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id\nu,a\n")
    with pytest.raises(DataError, match="'user_id' cannot hold both users and items"):
        read(path, DataConfig(item_column="user_id"))


def test_only_the_first_rejects_of_a_reason_are_kept_and_all_are_counted(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id\nu,x\n" + "u,\n" * 1000)
    rejects = read(path).report.rejects
    assert rejects.counts == {"missing item id": 1000}
    assert [reject.line for reject in rejects.first] == [3, 4, 5]
    assert rejects.lines()[-1] == "and 997 more: missing item id"


def test_lines_are_true_lines_after_quoted_line_breaks_and_empty_lines(tmp_path):
    text = '\nuser_id,item_id\n"two\nlines",x\n\n"three\n\nlines",\nu,"y\n"\n,z\n'
    reading = read(write_text(tmp_path / "x.csv", text))
    assert sorted(reject.line for reject in reading.report.rejects.first) == [6, 11]
    assert pairs_of(reading.dataset) == [("two\nlines", "x"), ("u", "y\n")]


def test_windows_line_ends_and_a_byte_order_mark_are_not_part_of_ids(tmp_path):
    path = write_text(tmp_path / "x.csv", "\ufeffuser_id,item_id\r\nu,x\r\n,y\r\n")
    reading = read(path)
    assert pairs_of(reading.dataset) == [("u", "x")]
    assert [reject.line for reject in reading.report.rejects.first] == [3]
    assert pairs_of(read(write_text(tmp_path / "u.data", "\ufeff1\t2\t3\t4\n")).dataset) == [("1", "2")]


def test_bytes_that_are_not_utf8_reject_their_row_only(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"user_id,item_id\nu,x\nu,caf\xe9\nu,z\n")
    reading = read(path)
    assert pairs_of(reading.dataset) == [("u", "x"), ("u", "z")]
    assert [(r.line, r.reason.name) for r in reading.report.rejects.first] == [(3, "not UTF-8 text")]


def test_broken_json_lines_are_rejected_by_line(tmp_path):
    text = '{"user_id": "u", "item_id": "x"}\n\n{"user_id": "u", \n[1]\n{"user_id": "u", "item_id": true}\n'
    rejects = read(write_text(tmp_path / "x.jsonl", text)).report.rejects
    assert [reject.line for reject in rejects.first] == [3, 4, 5]


def test_parquet_rejects_name_the_row(tmp_path):
    frame = pd.DataFrame({"user_id": ["u", None, "u"], "item_id": ["x", "y", "z"]})
    frame.to_parquet(tmp_path / "x.parquet")
    reading = read(tmp_path / "x.parquet")
    assert pairs_of(reading.dataset) == [("u", "x"), ("u", "z")]
    assert [reject.line for reject in reading.report.rejects.first] == [2]


def test_strict_refuses_the_file_at_its_first_bad_row(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id,timestamp\nu,x,1\nu,y,soon\n,z,1\n")
    with pytest.raises(DataError, match=r"x\.csv:3: 'soon', .*strict"):
        read(path, strict=True)


# Files that cannot be used: one clear line each.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("user_id,item_id\n", "no rows below the header"),
        ("user,item\nu,x\n", r"no column 'user_id' \(read as CSV, columns 'user', 'item'\); .*--user-column"),
        (
            "user_id,item_id\nu,\n,x\n",
            r"none of 2 rows is usable \(1 x missing item id; 1 x missing user id\)",
        ),
        ("user_id,item_id,user_id\nu,x,v\n", "column 'user_id' stands twice"),
        ('user_id,item_id\nu,x\nu,"y\nu,z\n', r"x\.csv:3: a quote opens here and is never closed"),
        ("[1, 2]", "no column 'user_id'"),
        ("{1: 2}\n", "no line is an object"),
    ],
)
def test_unusable_files_are_explained(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(write_text(tmp_path / "x.csv", text))


def test_missing_damaged_and_foreign_files_are_explained(tmp_path):
    whole = write_text(tmp_path / "x.csv.gz", "user_id,item_id\n" + "u,x\n" * 10_000).read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "utf16.csv").write_bytes("user_id,item_id\nu,x\n".encode("utf-16"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04rest")
    for name, message in {
        "absent.csv": "No such file",
        ".": "Is a directory",
        "cut.gz": "gzip stream is damaged or cut short",
        "utf16.csv": "is UTF-16 text",
        "bad.parquet": "not a readable Parquet file",
        "x.zip": "is a zip archive",
    }.items():
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


def test_a_column_that_was_asked_for_must_be_there(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id\nu,x\n")
    with pytest.raises(DataError, match=r"no column 'when'.*--timestamp-column"):
        read(path, DataConfig(timestamp_column="when"))
    with pytest.raises(DataError, match="no column 'rating'"):
        read(path, DataConfig(like_threshold=3))


# Likes.


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


# Several data sets over one pair of vocabularies.


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
    readings = read_together(files, PLAIN)
    datasets = {name: reading.dataset for name, reading in readings.items()}
    assert {name: pairs_of(dataset) for name, dataset in datasets.items()} == {
        "train": [("u", "x")],
        "seen": [("u", "y")],
        "test": [("v", "z"), ("u", "y")],
    }
    assert len({id(dataset.items) for dataset in datasets.values()}) == 1
    assert list(datasets["train"].items) == ["x", "y", "z"]


# Chunks: small blocks must change nothing.


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

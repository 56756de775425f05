"""What cannot be used: rows, counted with line, value, reason and remedy; files, in one clear line."""

from __future__ import annotations

import pandas as pd
import pytest

from cml.config import DataConfig
from cml.errors import DataError
from tests.cml.data_files import pairs_of, read, write_text


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

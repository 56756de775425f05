from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cml.data.columns import Ids, numbers, seconds


def column(values: list, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, type=kind)])


def second_of(text: str) -> float:
    values, wrong = seconds(column([text]))
    assert not wrong[0], text
    return float(values[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1364774400", 1364774400),
        ("1364774400.5", 1364774400.5),
        ("1364774400000", 1364774400),
        ("1364774400250", 1364774400.25),
        ("-86400", -86400),
        ("2013-04-01", 1364774400),
        ("2013-04-01T00:00:00Z", 1364774400),
        ("2013-04-01 00:00:00", 1364774400),
        ("2013-04-01T02:00:00+02:00", 1364774400),
        ("2013-04-01T00:00:00.25Z", 1364774400.25),
        (" 2013-04-01 ", 1364774400),
        ("1e9", 1e9),
        ("99999999999", 99999999999),  # the last second before the rule says milliseconds
        ("100000000000", 1e8),
    ],
)
def test_times_are_seconds_milliseconds_or_iso_8601(text, expected):
    assert second_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "now",
        "today",
        "NaT",
        "nan",
        "inf",
        "01/04/2013",
        "2013/04/01",
        "2013-13-01",
        "2013-04",
        "x",
        " ",
        "2013-04-01T25:00",
        "1e300",
        "999999999999999999",
    ],
)
def test_what_is_no_time_is_marked_and_never_guessed(text):
    values, wrong = seconds(column(["2013-04-01", text, "5"]))
    assert wrong.tolist() == [False, True, False]
    assert values[[0, 2]].tolist() == [1364774400.0, 5.0]


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)))
def test_an_iso_time_is_the_same_moment_as_in_pythons_own_words(moment):
    expected = moment.replace(tzinfo=UTC).timestamp()
    assert second_of(moment.isoformat()) == pytest.approx(expected, abs=1e-4)


def test_offsets_may_differ_within_a_column():
    texts = ["2013-04-01T02:00:00+02:00", "2013-04-01", "2013-03-31T19:00:00-05:00", "1364774400"]
    values, wrong = seconds(column(texts))
    assert values.tolist() == [1364774400.0] * 4
    assert not wrong.any()


def test_missing_times_are_missing_and_not_wrong():
    values, wrong = seconds(column([None, "5"]))
    assert np.isnan(values[0])
    assert not wrong.any()


def test_typed_columns_are_times_too():
    moment = datetime(2013, 4, 1, 12, tzinfo=UTC)
    for kind in (pa.timestamp("s"), pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("us")):
        assert seconds(column([moment], kind))[0].tolist() == [moment.timestamp()]
    assert seconds(column([moment.date()], pa.date32()))[0].tolist() == [1364774400.0]
    assert seconds(column([1364774400000], pa.int64()))[0].tolist() == [1364774400.0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_python_reads_them(value):
    # The word beside it forces the way in which each value is looked at.
    for others in ([], ["word"]):
        values, wrong = numbers(column([repr(value), *others]))
        assert values[0] == value
        assert wrong.tolist() == [False, *(True for _ in others)]


@pytest.mark.parametrize(
    "text", ["five", "1,5", "0x1", "1_0", "--1", "1.2.3", "nan", "inf", "-Infinity", "e5", "."]
)
def test_what_is_no_finite_number_is_marked(text):
    values, wrong = numbers(column([text, " 2.5 ", None]))
    assert wrong.tolist() == [True, False, False]
    assert values[1] == 2.5


def test_ids_get_rows_in_order_of_appearance_across_chunks():
    ids = Ids(["z"])
    first = ids.rows(pa.chunked_array([["b", "a"], ["b", "z"]]))
    second = ids.rows(pa.chunked_array([["c", "a"]]))
    assert (first.tolist(), second.tolist(), list(ids)) == ([1, 2, 1, 0], [3, 2], ["z", "b", "a", "c"])

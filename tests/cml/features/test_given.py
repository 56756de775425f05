"""Rows that came with items: kept exactly, over other vocabularies, and completing what files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cml.arrays import read_arrays, write_arrays
from cml.features.encoding import FeatureEncoder
from cml.features.given import GivenRows, Told
from cml.features.matrix import MatrixRow
from cml.features.schema import Feature, FeatureSchema
from cml.vocabulary import Vocabulary


def dense(*values: float) -> MatrixRow:
    return MatrixRow(np.arange(len(values)), np.array(values), len(values))


def numbers(row: MatrixRow | None) -> list[float] | None:
    if row is None:
        return None
    whole = np.zeros(row.width)
    whole[row.columns] = row.values
    return whole.tolist()


SPARSE = MatrixRow(np.array([3]), np.array([7.0]), 4)
GIVEN = GivenRows.of(
    {"cover": {5: dense(1, 0, 2), 2: dense(0, 4, 0)}, "words": {2: SPARSE, 0: dense(1, 2, 3, 4)}}
)


def test_rows_are_the_same_when_read_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "given.safetensors", GIVEN.arrays())
    for given in (GIVEN, GivenRows.from_arrays(read_arrays(tmp_path / "given.safetensors"))):
        assert given.items() == [0, 2, 5]
        found = {
            item: {name: numbers(row) for name, row in given.of_item(item).items()} for item in (0, 2, 5)
        }
        assert found == {
            0: {"words": [1, 2, 3, 4]},
            2: {"cover": [0, 4, 0], "words": [0, 0, 0, 7]},
            5: {"cover": [1, 0, 2]},
        }
        assert given.of_item(1) == given.of_item(9) == {}
    assert GIVEN
    assert not GivenRows.of({"cover": {}})


def test_later_rows_count_and_others_of_another_width_are_gone() -> None:
    later = GivenRows.of({"cover": {5: dense(9, 9, 9)}, "words": {7: dense(1, 1)}})
    joined = GIVEN.joined(later)
    assert numbers(joined.of_item(5)["cover"]) == [9, 9, 9]
    assert numbers(joined.of_item(2)["cover"]) == [0, 4, 0]
    assert "words" not in joined.of_item(2)
    assert numbers(joined.of_item(7)["words"]) == [1, 1]
    assert numbers(GIVEN.of_item(5)["cover"]) == [1, 0, 2]


def test_rows_go_along_to_another_vocabulary_as_far_as_it_and_its_encoder_have_them() -> None:
    encoder = FeatureEncoder.fit(
        FeatureSchema((Feature("cover", "matrix"), Feature("words", "matrix"))),
        [{"cover": [1, 2, 3], "words": [1, 2]}],
    )
    moved = GIVEN.over(Vocabulary("abcdef"), Vocabulary("xfc"), encoder)
    assert {item: list(moved.of_item(item)) for item in moved.items()} == {1: ["cover"], 2: ["cover"]}
    assert numbers(moved.of_item(1)["cover"]) == [1, 0, 2]
    assert numbers(moved.of_item(2)["cover"]) == [0, 4, 0]


SCHEMA = FeatureSchema((Feature("cover", "matrix"), Feature("year", "numeric"), Feature("plot", "text")))


def told(**said: dict[str, object]) -> Told:
    return Told(Vocabulary("abcdef"), GivenRows.of({"cover": {2: dense(0, 4, 0), 5: dense(1, 0, 2)}}), said)


def test_kept_rows_stand_in_for_files_and_what_was_said_stands_before_them() -> None:
    known = [{"cover": dense(8, 8, 8), "year": 1990}, {}, {"year": 1994}]
    said = told(a={"cover": [1, 1, 1], "mood": "gay"}, f={"plot": "war"})
    found = said.completed(known, SCHEMA, Vocabulary("cfa"))
    assert numbers(found[0]["cover"]) == [8, 8, 8]
    assert found[0]["year"] == 1990
    assert (numbers(found[1]["cover"]), found[1]["plot"]) == ([1, 0, 2], "war")
    assert found[2] == {"year": 1994, "cover": [1, 1, 1]}
    assert known[1] == {}


@pytest.mark.parametrize(
    "wrong", [{"cover": [1, 2]}, {"cover": "1 2 3"}, {"year": "soon"}, {"plot": 5}, {"year": None}]
)
def test_what_was_said_of_another_version_is_left_out(wrong: dict[str, object]) -> None:
    known = {"cover": dense(8, 8, 8), "year": 1990, "plot": "art"}
    assert told(c=wrong).completed([known], SCHEMA, Vocabulary("c")) == [known]


def test_without_any_row_in_files_the_first_that_is_kept_says_how_wide_they_are() -> None:
    found = told(a={"cover": [1, 1]}, b={"cover": [1, 1, 1]}).completed(
        [{}, {}, {}], SCHEMA, Vocabulary("abc")
    )
    assert [list(values) for values in found] == [[], ["cover"], ["cover"]]

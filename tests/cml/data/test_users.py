"""User tables: the columns of public sets, ids kept exactly, and what is refused."""

from __future__ import annotations

import pytest

from cml.data.users import read_users
from cml.errors import ConfigError, DataError
from cml.vocabulary import Vocabulary
from tests.cml.data_files import write_text

USERS = Vocabulary(["7", "007", "ann"])


def test_a_table_describes_users_by_row_and_nothing_of_the_others(tmp_path) -> None:
    text = "user_id,age,town,name\n007,31,Cork,Ann\nnobody,20,Bonn,Bob\n7,,Bonn,Cy\n7,99,Cork,Di\n"
    users = read_users(write_text(tmp_path / "users.csv", text), USERS, kinds={"town": "tags"})
    assert users.record(0) == {"town": ["Bonn"], "name": "Cy"}  # the first row counts
    assert users.record(1) == {"age": 31, "town": ["Cork"], "name": "Ann"}  # a name is no title
    assert users.record(2) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("u.user", "7|24|M|technician|85711\n007|53|F|other|T8H1N\n"),
        ("users.dat", "7::M::24::technician::85711\n007::F::53::other::T8H1N\n"),
        (
            "users.csv",
            "userId,age,gender,occupation,zip_code\n7,24,M,technician,85711\n007,53,F,other,T8H1N\n",
        ),
    ],
)
def test_the_user_tables_of_movielens_are_known(tmp_path, name, text) -> None:
    users = read_users(write_text(tmp_path / name, text), USERS, kinds={"zip_code": "text"})
    assert users.record(0) == {"age": 24, "gender": "M", "occupation": "technician", "zip_code": "85711"}
    assert users.record(1) == {"age": 53, "gender": "F", "occupation": "other", "zip_code": "T8H1N"}


def test_tables_that_cannot_be_used_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="no column 'user_id'"):
        read_users(write_text(tmp_path / "a.csv", "item_id,age\nx,1\n"), USERS)
    with pytest.raises(DataError, match=r"none of 1 rows has a usable user id; .*a\.csv:2.*missing user id"):
        read_users(write_text(tmp_path / "a.csv", "user_id,age\n,1\n"), USERS)
    with pytest.raises(ConfigError, match="no column 'colour'"):
        read_users(write_text(tmp_path / "a.csv", "user_id,age\n7,1\n"), USERS, kinds={"colour": "tags"})

"""Somebody whom a version does not know, by what is known of them besides likes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml import artifact
from cml.cli import cli
from cml.errors import QueryError
from cml.newcomers import prior_of
from cml.recommend import Signal, recommend, recommend_session
from cml.snapshot import Snapshot
from tests.service.worlds import content, publish, welcoming

LINE = ["i0", "i1", "a/b", "日本", "i4", "i5", "i6", "i7"]  # at 0.1, 0.2, ... 0.8


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    artifact.write(welcoming(content()), tmp_path / "version")
    return Snapshot(artifact.load(tmp_path / "version"), "one")


def ids(found) -> list[str]:
    return [item.item_id for item in found.items]


def test_features_alone_give_the_place(snapshot: Snapshot) -> None:
    found = recommend_session(snapshot, [], features={"town": "Cork"}, k=3, because=2)
    assert (found.strategy, ids(found)) == ("features", ["i7", "i6", "i5"])
    assert found.items[0].distance == pytest.approx(0.02, abs=1e-6)
    assert found.items[0].because == ()
    older = recommend_session(snapshot, [], features={"town": "Cork", "age": 70}, k=1)
    assert older.items[0].distance == pytest.approx(0.02, abs=1e-6)  # at 0.82 instead of 0.78
    near = recommend_session(snapshot, [Signal("nope")], [Signal("i1")], features={"town": "Bonn"}, k=2)
    assert (near.strategy, ids(near), near.skipped) == ("features", ["a/b", "i0"], ("nope",))


def test_features_count_beside_likes_as_much_as_the_weight_says(tmp_path: Path) -> None:
    lists, from_i0, like = {}, [], Signal("i7")
    for weight in (0.0, 0.3, 3.0, 50.0):
        artifact.write(welcoming(content(), weight=weight), tmp_path / f"{weight}")
        snapshot = Snapshot(artifact.load(tmp_path / f"{weight}"), "one")
        found = recommend_session(snapshot, [like], features={"town": "Bonn"}, k=7)
        assert found.strategy == "session-features"
        lists[weight] = ids(found)
        from_i0.append(found.items[lists[weight].index("i0")].distance)
    alone = recommend_session(snapshot, [like], k=7)
    assert lists[0.0] == ids(alone)
    assert from_i0[0] == pytest.approx(alone.items[-1].distance, abs=1e-5)
    assert from_i0 == sorted(from_i0, reverse=True)
    assert lists[50.0][:2] == ["i1", "a/b"]
    assert from_i0[0] - from_i0[1] > 0.01
    assert from_i0[2] - from_i0[3] > 0.01


def test_values_that_the_version_does_not_know_count_as_missing(snapshot: Snapshot) -> None:
    for nothing in ({}, {"town": "Rome"}, {"town": None, "age": None}):
        assert prior_of(snapshot.artifact, nothing) is None
        assert recommend_session(snapshot, [], features=nothing).strategy == "popular"
        assert recommend_session(snapshot, [Signal("i7")], features=nothing).strategy == "session"
    prior = prior_of(snapshot.artifact, {"town": "Rome", "age": 40})
    assert prior is not None
    np.testing.assert_allclose(prior.place, [0.01, 0], atol=1e-6)


def test_a_user_of_the_version_is_where_training_put_them(snapshot: Snapshot) -> None:
    likes = [Signal("i6")]
    known = recommend_session(snapshot, likes, user_id="ann", k=8)
    described = recommend_session(snapshot, likes, user_id="ann", features={"town": "Cork"}, k=8)
    assert (described.strategy, ids(described)) == ("personal", ids(known))
    erased = snapshot.masked(erased=["ann"], hidden=[])
    assert recommend_session(erased, [], user_id="ann", features={"town": "Cork"}).strategy == "features"
    assert recommend(erased, "ann").strategy == "popular"


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"city": "Bonn"}, "'city' is no feature of users in this version, only town, age"),
        ({"town": ["Bonn"]}, r"town: \['Bonn'\] is not one text or number"),
        ({"age": "old"}, "age: 'old' is not a finite number or a date"),
        ({"town": "Rome", "age": True}, "age: True is not"),
    ],
)
def test_what_cannot_be_a_value_is_refused(snapshot: Snapshot, features, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        recommend_session(snapshot, [], features=features)
    with pytest.raises(QueryError, match=said):
        recommend_session(snapshot, [], user_id="ann", features=features)


def test_a_version_without_features_of_users_says_so(tmp_path: Path) -> None:
    artifact.write(content(), tmp_path / "version")
    plain = Snapshot(artifact.load(tmp_path / "version"), "one")
    with pytest.raises(QueryError, match="trained without features of users; leave them out"):
        recommend_session(plain, [Signal("i7")], features={})


def test_the_command_line_places_somebody_new_too(tmp_path: Path) -> None:
    publish(tmp_path / "models", welcoming(content()))

    def call(user: str, features: str) -> Result:
        asked = [
            "recommend",
            user,
            "--user-features",
            features,
            "--models",
            str(tmp_path / "models"),
            "-k",
            "2",
        ]
        return CliRunner().invoke(cli, [*asked, "--json"])

    found = json.loads(call("somebody", '{"town": "Cork"}').stdout)
    assert found["strategy"] == "features"
    assert [item["item_id"] for item in found["items"]] == ["i7", "i6"]
    assert json.loads(call("ann", '{"town": "Cork"}').stdout)["strategy"] == "personal"
    assert "'city' is no feature" in str(call("somebody", '{"city": "Cork"}').exception)
    for wrong, said in (("Cork", "not JSON"), ('["Cork"]', "expected an object such as '{\"age\": 34}'")):
        assert said in str(call("somebody", wrong).exception)

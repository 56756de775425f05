"""A row of a feature matrix in a request: what is taken and what is not, and where it places an item."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from cml.features.encoding import FeatureEncoder
from cml.features.extractor import Extractor, Layer
from cml.features.placing import Placer
from cml.features.schema import Feature, FeatureSchema
from service.asked import ItemUpdate
from tests.service.conftest import ids, refused
from tests.service.worlds import content, publish


def asked(place: str, value: object) -> ItemUpdate:
    return ItemUpdate.model_validate_json(json.dumps({place: {"cover": value}}))


def test_a_list_of_numbers_is_a_feature_and_no_metadata() -> None:
    assert asked("features", [1, -0.5, 2]).features == {"cover": [1.0, -0.5, 2.0]}
    assert asked("features", ["war", "art"]).features == {"cover": ["war", "art"]}
    with pytest.raises(ValidationError, match="a list of texts"):
        asked("metadata", [1, -0.5, 2])


@pytest.mark.parametrize("value", [[1, "x"], [1, True], [1, None], [[1]], [1, 10**400]])
def test_other_lists_are_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a list of"):
        asked("features", value)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry whose version places items by three numbers: near ann (0.05), between, and far from her (0.95)."""
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("cover", "matrix"),)), [{"cover": [1.0, 2.0, 3.0]}])
    weight = np.array([[0.05, 0.0], [0.5, 0.0], [0.95, 0.0]], dtype=np.float32)
    placer = Placer(encoder, Extractor([Layer(weight, np.zeros(2, dtype=np.float32))]))
    publish(tmp_path / "models", replace(content(), placer=placer))
    return tmp_path / "models"


def put(client: TestClient, row: object) -> httpx.Response:
    return client.put("/v1/items/new", json={"metadata": {"title": "New"}, "features": {"cover": row}})


def nearest_of_ann(client: TestClient) -> str:
    return ids(client.get("/v1/users/ann/recommendations", params={"k": 1}))[0]


def test_a_row_places_a_new_item_within_the_request_and_after_a_restart(serve) -> None:
    one, other = serve(), serve()
    answer = put(one, [40, 0, 0])  # rows count by their direction
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "item_id": "new",
        "title": "New",
        "metadata": {},
        "hidden": False,
        "in_model": False,
        "placed": True,
        "placed_by": ["cover"],
        "reason": None,
        "liked_by": 0,
    }
    for client in (one, other, serve()):
        first = client.get("/v1/users/ann/recommendations?k=1").json()["items"][0]
        assert (first["item_id"], first["distance"]) == ("new", pytest.approx(0.05))
        assert ids(client.get("/v1/items/i0/similar"))[0] == "new"
    put(one, [0, 0, 0.5])
    assert nearest_of_ann(other) == "i1"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            [1.0, 2.0],
            "features.cover: a row of 2 numbers, the matrix of training has 3 columns; make it in the same way",
        ),
        ([1, 2, 3, 4], "features.cover: a row of 4 numbers, the matrix of training has 3 columns"),
        ("1 2 3", "features.cover: '1 2 3' is not a list of finite numbers, one a column of the matrix"),
        (["a", "b", "c"], "features.cover: ['a', 'b', 'c'] is not a list of finite numbers"),
        (7, "features.cover: 7 is not a list of finite numbers"),
        ([1, "x", 2], "must be a list of texts or a list of numbers"),
    ],
)
def test_a_row_that_is_none_is_refused_and_leaves_no_trace(client, row, said) -> None:
    assert said in refused(put(client, row), 422, "invalid-request")
    assert client.get("/v1/items/new").status_code == 404
    assert nearest_of_ann(client) == "i1"


@pytest.mark.parametrize("row", [[0, 0, 0], [], None])
def test_a_row_that_says_nothing_places_nothing(client, row) -> None:
    answer = put(client, row).json()
    assert (answer["placed"], answer["placed_by"]) == (False, [])
    assert answer["reason"] == "none of its features (cover) has a value that the version knows"


def test_the_row_is_shown_nowhere(client) -> None:
    put(client, [40, 0, 0])
    assert client.get("/v1/model").json()["features"] == {"cover": "matrix"}
    assert client.get("/v1/items/new").json()["metadata"] == {}

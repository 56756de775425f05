"""A row of a feature matrix in a request: what is taken, and what is not."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from service.asked import ItemUpdate


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

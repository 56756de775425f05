"""List options from the query string."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ValidationError
from pydantic_core import from_json

from service.asked import ListOptions
from service.errors import describe, invalid

_IDS = "May be repeated."


async def list_options(
    k: Annotated[int | None, Query(ge=1, description="Length of the list.", examples=[10])] = None,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before.")] = None,
    exclude_seen: Annotated[bool, Query(description="Leave out the user's own items.")] = True,
    exclude: Annotated[list[str] | None, Query(description=f"Item that must not appear. {_IDS}")] = None,
    allow: Annotated[list[str] | None, Query(description=f"Only these items may appear. {_IDS}")] = None,
    where: Annotated[
        str | None,
        Query(
            max_length=10_000,
            description="Conditions on metadata as a JSON object.",
            examples=['{"genres": {"any": ["Drama"]}, "year": {"min": 1990}}'],
        ),
    ] = None,
    available_at: Annotated[
        str | None, Query(max_length=40, description="`now`, ISO 8601 or seconds.")
    ] = None,
    max_distance: Annotated[float | None, Query(ge=0, description="Nothing farther away than this.")] = None,
    diversity: Annotated[
        float | None, Query(ge=0, lt=1, description="0: nearest first; towards 1: varied.")
    ] = None,
    explain: Annotated[int | None, Query(ge=0, le=10, description="Reasons for each item.")] = None,
) -> ListOptions:
    """The options of any list. Raises Problem 422.

    Waits for nothing, and is a coroutine all the same: to call a plain function the framework would wake a thread.
    """
    given = {
        "k": k,
        "cursor": cursor,
        "exclude_seen": None if exclude_seen else False,
        "exclude": exclude,
        "allow": allow,
        "where": _conditions(where),
        "available_at": available_at,
        "max_distance": max_distance,
        "diversity": diversity,
        "explain": explain,
    }
    try:
        return ListOptions(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise invalid(describe(error.errors())) from None


def _conditions(text: str | None) -> dict | None:
    if text is None:
        return None
    try:
        where = from_json(text, allow_inf_nan=False)  # with the limits that a body has
    except ValueError as error:
        raise invalid(f"where: not JSON: {error}") from None
    if not isinstance(where, dict):
        raise invalid('where: must be a JSON object such as {"genres": "Drama"}')
    return where

"""The shapes of requests, as the OpenAPI document shows them. Unknown fields are refused."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

LONGEST_ID = 500  # characters: as UTF-8 it fits into every database's indexes
_SURROGATES = frozenset(map(chr, range(0xD800, 0xE000)))


def _storable(value: str) -> str:
    """Text that can be written as UTF-8 and holds no NUL."""
    if "\0" in value or not (value.isascii() or _SURROGATES.isdisjoint(value)):
        raise ValueError("must be Unicode text without NUL characters")
    return value


def _described(value: Any) -> Any:
    """A value that says something about an item. Integers beyond 64 bits become floats, as JSON's readers have them."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [_storable(part) for part in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        number = value if abs(value) < 2**63 else _finite(value)
        if math.isfinite(number):
            return number
    raise ValueError("must be a finite number, a text, a list of texts, true, false or null")


def _featured(value: Any) -> Any:
    """The same, or a list of finite numbers: an item's row of a feature matrix."""
    if not isinstance(value, list) or not value or isinstance(value[0], str):
        return _described(value)
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in value):
        raise ValueError("must be a list of texts or a list of numbers")
    row = [_finite(part) for part in value]
    if not all(map(math.isfinite, row)):
        raise ValueError("must be a list of finite numbers")
    return row


def _finite(value: float) -> float:
    """As a float; infinity for what none can hold."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(_storable)]
Moment = Annotated[
    str,
    Field(
        max_length=40, description="`now`, ISO 8601 or seconds since 1970", examples=["2026-07-01T00:00:00Z"]
    ),
]
_DESCRIBED: list[dict[str, Any]] = [
    {"type": "number"},
    {"type": "string"},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "null"},
]
MetadataValue = Annotated[Any, AfterValidator(_described), WithJsonSchema({"anyOf": _DESCRIBED})]
FeatureValue = Annotated[
    Any,
    AfterValidator(_featured),
    WithJsonSchema({"anyOf": [*_DESCRIBED, {"type": "array", "items": {"type": "number"}}]}),
]
ColumnName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_storable)]
Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Where = Annotated[
    dict[str, Any],
    Field(
        description="Conditions on metadata columns, all of which must hold. Tags: `any`, `all`, `none`;"
        " numbers and dates: `min`, `max`; a bare value or list means `any`.",
        examples=[{"genres": {"any": ["Drama"], "none": ["Horror"]}, "year": {"min": 1990}}],
    ),
]


class Asked(BaseModel):
    """Base of everything that comes in: `true` is no number, and unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ListOptions(Asked):
    """What a list may contain and how much of it."""

    k: (
        Annotated[int, Field(ge=1, description="Length of the list; the service's default and limit apply.")]
        | None
    ) = None
    cursor: Annotated[
        str | None,
        Field(max_length=400, description="`next` of the page before: pages never repeat an item."),
    ] = None
    exclude_seen: Annotated[bool, Field(description="Leave out the user's own items.")] = True
    exclude: Annotated[list[Id], Field(description="Items that must not appear.")] = []
    allow: Annotated[list[Id] | None, Field(description="The only items that may appear.")] = None
    where: Where | None = None
    available_at: Annotated[
        Moment | None,
        Field(description="Only items available then. By default now, where the catalogue has such dates."),
    ] = None
    max_distance: Annotated[
        float | None, Field(ge=0, allow_inf_nan=False, description="Nothing farther away than this.")
    ] = None
    diversity: Annotated[
        float,
        Field(
            ge=0, lt=1, description="0: nearest first; towards 1: as different from each other as possible."
        ),
    ] = 0.0
    explain: Annotated[
        int, Field(ge=0, le=10, description="Own items to name as reasons for each recommended one.")
    ] = 0


class Taste(Asked):
    """One item that somebody liked or disliked."""

    item_id: Id
    weight: Weight = 1.0
    time: Annotated[float | None, Field(allow_inf_nan=False, description="Seconds since 1970.")] = None


class SessionRequest(ListOptions):
    """A list for a session or somebody new, from likes and dislikes; or for a user, with a long request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "liked": [{"item_id": "tt0133093", "weight": 2}],
                    "disliked": [{"item_id": "tt0120338"}],
                    "k": 5,
                },
                {"user_features": {"age": 34, "occupation": "librarian"}, "k": 5},
            ]
        },
    )

    user_id: Annotated[Id | None, Field(description="Known user whose stored history counts too.")] = None
    liked: list[Taste] = []
    disliked: list[Taste] = []
    user_features: Annotated[
        dict[ColumnName, FeatureValue] | None,
        Field(
            description="What is known of somebody whom the version does not know, by column of its user features:"
            " places them where nothing is liked, and counts beside likes like a few more of them."
            " A user in the version is where training put them."
        ),
    ] = None


class BatchRequest(ListOptions):
    """The same list for many users, one JSON line each."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["42", "43"], "k": 10}]})

    user_ids: Annotated[list[Id], Field(min_length=1)]


class EventIn(Asked):
    """Something that a user did with an item."""

    event_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Chosen by the client: sent again, it counts once. Without one every event counts.",
        ),
    ] = None
    user_id: Id
    item_id: Id
    type: Literal["like", "view", "purchase", "dislike"]
    weight: Annotated[Weight | None, Field(description="By default the service's weight for the type.")] = (
        None
    )
    time: Annotated[
        float | None,
        Field(
            ge=0,
            le=1e11,
            allow_inf_nan=False,
            description="Seconds since 1970; by default, and for what lies ahead, now.",
        ),
    ] = None
    recommendation_id: Annotated[
        Annotated[str, Field(max_length=200), AfterValidator(_storable)] | None,
        Field(description="Of the list that led here, for attribution."),
    ] = None


class EventsRequest(Asked):
    """Events, stored together."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"events": [{"event_id": "c7-1", "user_id": "42", "item_id": "tt0133093", "type": "like"}]}
            ]
        },
    )

    events: Annotated[list[EventIn], Field(min_length=1)]


Described = dict[ColumnName, MetadataValue]


class ItemUpdate(Asked):
    """What replaces everything that was said about an item since publishing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "metadata": {"title": "Tron: Ares", "year": 2025, "genres": ["Sci-Fi", "Action"]},
                    "features": {"plot": "A program crosses over into the real world."},
                }
            ]
        }
    )

    hidden: bool = False
    metadata: Annotated[
        Described | None,
        Field(
            description="Replaces the named columns; others stay as published. Of an item that the version was"
            " not trained with, columns that are features of the version's extractor place it."
        ),
    ] = None
    features: Annotated[
        dict[ColumnName, FeatureValue] | None,
        Field(description="More features of a new item, which are not shown; they go before metadata."),
    ] = None


class ExperimentRequest(Asked):
    """A candidate version for a share of the users."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "dim-128", "candidate": "000013-0123456789ab", "share": 0.1}]
        },
    )

    name: Annotated[
        str, Field(pattern="^[a-z0-9-]{1,40}$", description="Users are drawn by it: keep it while it runs.")
    ]
    candidate: Annotated[str, Field(max_length=100)]
    share: Annotated[float, Field(gt=0, lt=1)]

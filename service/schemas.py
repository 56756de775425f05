"""The shapes of requests and answers, as the OpenAPI document shows them. Unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _storable(value: str) -> str:
    """Text that can be written as UTF-8 and holds no NUL."""
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must be Unicode text without NUL characters")
    return value


Id = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_storable)]
Moment = Annotated[
    str,
    Field(
        max_length=40, description="`now`, ISO 8601 or seconds since 1970", examples=["2026-07-01T00:00:00Z"]
    ),
]
MetadataValue = int | float | str | bool | list[str] | None
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
                {"liked": [{"item_id": "0133093", "weight": 2}], "disliked": [{"item_id": "0120338"}], "k": 5}
            ]
        },
    )

    user_id: Annotated[Id | None, Field(description="Known user whose stored history counts too.")] = None
    liked: list[Taste] = []
    disliked: list[Taste] = []


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
        Field(ge=0, le=1e11, allow_inf_nan=False, description="Seconds since 1970; by default now."),
    ] = None
    recommendation_id: Annotated[
        str | None, Field(max_length=200, description="Of the list that led here, for attribution.")
    ] = None


class EventsRequest(Asked):
    """Events, stored together."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"events": [{"event_id": "c7-1", "user_id": "42", "item_id": "0133093", "type": "like"}]}
            ]
        },
    )

    events: Annotated[list[EventIn], Field(min_length=1)]


class ItemUpdate(Asked):
    """What replaces everything that was said about an item since publishing."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"metadata": {"title": "The Matrix", "year": 1999}}]}
    )

    hidden: bool = False
    metadata: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], MetadataValue] | None,
        Field(description="Replaces the named columns; others stay as published."),
    ] = None
    features: Annotated[
        list[Annotated[float, Field(allow_inf_nan=False)]] | None,
        Field(max_length=10_000, description="Input of the version's feature extractor, for a new item."),
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


class Reason(BaseModel):
    """One of the user's own items, near the recommended one."""

    item_id: str
    title: str | None
    distance: float


class ListedItem(BaseModel):
    """One item of a list."""

    item_id: str
    title: str | None
    metadata: dict[str, Any]
    distance: Annotated[
        float | None, Field(description="Smaller is closer; null in lists that are not by distance.")
    ]
    score: Annotated[float | None, Field(description="Larger is better; null in lists that are by distance.")]
    because: Annotated[list[Reason] | None, Field(description="Only when asked for with `explain`.")] = None


class ItemList(BaseModel):
    """A list of items, with what it takes to understand and to attribute it."""

    user_id: Annotated[str | None, Field(description="Only in lists for a user.")] = None
    model_version: str
    strategy: Annotated[
        str,
        Field(
            description="How the list was made. `popular` and the like are not personal.",
            examples=["personal"],
        ),
    ]
    variant: Annotated[str | None, Field(description="`control` or `candidate` while an experiment runs.")]
    recommendation_id: Annotated[str, Field(description="Send it with the events that this list leads to.")]
    k: int
    items: list[ListedItem]
    skipped: Annotated[list[str], Field(description="Ids in the request that are not known here.")]
    next: Annotated[str | None, Field(description="Cursor of the next page; null at the end.")]


class ListedUser(BaseModel):
    """One user of a list."""

    user_id: str
    distance: float


class UserList(BaseModel):
    """Users, nearest first."""

    model_version: str
    strategy: str
    k: int
    users: list[ListedUser]


class Item(BaseModel):
    """What is known about an item."""

    item_id: str
    title: str | None
    metadata: dict[str, Any]
    hidden: bool
    in_model: Annotated[bool, Field(description="Whether the version in use can recommend it.")]
    liked_by: Annotated[int, Field(description="Users who liked it in the training data.")]


class ItemMatches(BaseModel):
    """Items whose title matches."""

    model_version: str
    items: list[Item]


class StoredEvent(BaseModel):
    """An event as it is kept."""

    event_id: str
    item_id: str
    type: str
    weight: float
    time: float
    recommendation_id: str | None


class User(BaseModel):
    """Everything that is stored about a user."""

    user_id: str
    in_model: Annotated[bool, Field(description="Whether the version in use was trained with this user.")]
    trained_on: Annotated[list[str], Field(description="Items of the user in the training data.")]
    events: list[StoredEvent]


class Erased(BaseModel):
    """What an erasure removed."""

    user_id: str
    events: int


class EventsReceipt(BaseModel):
    """Given when the events are on disk."""

    accepted: int
    duplicates: Annotated[int, Field(description="Known by their event_id; nothing changed.")]
    unknown_items: Annotated[list[str], Field(description="Stored, but not in the version in use.")]


class Model(BaseModel):
    """The version that answers."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    created_at: str
    users: int
    items: int
    dim: int
    index: dict[str, Any]
    metrics: dict[str, Any]
    data: dict[str, Any]
    config: dict[str, Any]
    columns: Annotated[dict[str, str], Field(description="Metadata columns to filter by, with their kind.")]
    versions: Annotated[dict[str, str], Field(description="Of the code and libraries that made it.")]


class Experiment(BaseModel):
    """The experiment that runs."""

    name: str
    candidate: str
    share: float


class Versions(BaseModel):
    """What is published and what answers."""

    current: str | None
    versions: list[str]
    experiment: Experiment | None
    failure: Annotated[str | None, Field(description="Why CURRENT or the candidate could not be loaded.")]


class Status(BaseModel):
    """What a probe says."""

    status: str
    model_version: str | None = None
    problems: list[str] = []


class ProblemDocument(BaseModel):
    """Every error has this shape (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:cml:problem:unknown-item"])]
    title: str
    status: int
    detail: str
    request_id: str

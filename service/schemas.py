"""The shapes of answers, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


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
    strategy: Annotated[str, Field(examples=["nearest"])]
    recommendation_id: Annotated[str, Field(description="Send it with the events that this list leads to.")]
    k: int
    users: list[ListedUser]


class Item(BaseModel):
    """What is known about an item."""

    item_id: str
    title: str | None
    metadata: dict[str, Any]
    hidden: bool
    in_model: Annotated[bool, Field(description="Whether the version in use was made with it.")]
    placed: Annotated[
        bool, Field(description="Whether it has a place among the items, and so can be near to users.")
    ]
    placed_by: Annotated[
        list[str], Field(description="The features by which an item that came later was placed.")
    ] = []
    reason: Annotated[str | None, Field(description="Why it has no place.")] = None
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
    features: Annotated[
        dict[str, str],
        Field(
            description="Columns by which new items are placed, with their kind; empty: it cannot place any."
        ),
    ]
    user_features: Annotated[
        dict[str, str],
        Field(
            description="Columns by which new users are placed, with their kind; empty: it cannot place any."
        ),
    ]
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

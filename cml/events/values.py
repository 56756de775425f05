"""The values that go into the event store and come out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cml.vocabulary import id_hash

MOMENT = 1e-6  # seconds that lie at least between the times when two items were first spoken of
EVENT_TYPES = ("like", "view", "purchase", "dislike")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a user did with an item. `sequence` is 0 until the store has numbered it."""

    event_id: str
    user_id: str
    item_id: str
    type: str
    weight: float
    occurred_at: float  # seconds since 1970
    recommendation_id: str | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class ItemState:
    """What was said about an item since publishing: hidden or not, its metadata, features that are not shown."""

    item_id: str
    hidden: bool = False
    metadata: dict[str, Any] | None = None
    features: dict[str, Any] | None = None
    # Seconds since 1970 when the item was first spoken of; greater for each later item. The store says when.
    added_at: float | None = field(default=None, compare=False)

    @property
    def says_anything(self) -> bool:
        """Whether more was said than that it is hidden or not."""
        return self.metadata is not None or self.features is not None

    @property
    def said(self) -> dict[str, Any]:
        """Metadata and features together; where both name something, the features count."""
        return (self.metadata or {}) | (self.features or {})


@dataclass(frozen=True, slots=True)
class Experiment:
    """A candidate version that answers a share of the users; `candidate` None means that none runs."""

    name: str
    candidate: str | None
    share: float


@dataclass(frozen=True, slots=True)
class Marks:
    """How far a reader has come in each of the tables that it follows."""

    events: int = 0
    erasures: int = 0
    items: int = 0
    experiments: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What was written after some `Marks`: whose events, who was erased, which items, which experiment."""

    marks: Marks
    users: tuple[str, ...]
    erased: tuple[tuple[str, int], ...]  # (digest, sequence)
    items: tuple[ItemState, ...]
    experiment: Experiment | None  # None: unchanged


def user_digest(user_id: str) -> str:
    """What remains of an erased user: a hash of the id, enough to find it, not to list it."""
    return f"{id_hash(user_id):016x}"

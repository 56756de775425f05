"""What events say about taste: one rule, for the service's next answer and for the next training."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cml.events.values import Event, Marks
from cml.vocabulary import Vocabulary

Key = TypeVar("Key", bound=Hashable)

DISLIKE = "dislike"
# What an event of each kind says about the user's taste, relative to a like; dislikes push away instead.
# The service writes the weight into the event, so that whoever counts it later counts the same.
DEFAULT_EVENT_WEIGHTS = {"like": 1.0, "purchase": 1.0, "view": 0.3, "dislike": 1.0}
EVENTS_KNOWN = "events_through"  # in a manifest's data: the last event that is in its training data
ERASURES_KNOWN = "erasures_through"  # in a manifest's data: the last erasure that its training data left out


def learned_by(data: Mapping[str, Any]) -> Marks:
    """How far in the event store a version has come, by its manifest's `data`."""
    return Marks(events=int(data.get(EVENTS_KNOWN, 0)), erasures=int(data.get(ERASURES_KNOWN, 0)))


def still_held(
    users: Vocabulary, data: Mapping[str, Any], erased: Iterable[tuple[str, int]]
) -> Iterator[str]:
    """Ids of erased users that a version holds, by its users and its manifest's `data`.

    `erased`: (digest, number of the erasure). A version that was trained without a user's old data, after the
    erasure, may know them again: they came back.
    """
    known_through = int(data.get(ERASURES_KNOWN, 0))
    for digest, number in erased:
        if number > known_through:
            yield from users.with_hash(int(digest, 16))


@dataclass
class LastWords(Generic[Key]):
    """Events in the order of their arrival, by what they are about; the last word about it counts.

    A dislike takes back the likes before it, any other event the dislikes. One of weight 0 only takes back.
    """

    liked: dict[Key, list[Event]] = field(default_factory=dict)
    disliked: dict[Key, list[Event]] = field(default_factory=dict)

    def add(self, key: Key, event: Event) -> None:
        """Count one more event about `key`."""
        liked = event.type != DISLIKE
        says, unsays = (self.liked, self.disliked) if liked else (self.disliked, self.liked)
        unsays.pop(key, None)
        if event.weight > 0:
            says.setdefault(key, []).append(event)

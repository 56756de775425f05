"""What likes, views, purchases and dislikes say about a user's taste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cml.events.meaning import LastWords
from cml.events.values import Event
from cml.recommend import Signal
from service.asked import SessionRequest


@dataclass(frozen=True, slots=True)
class Signals:
    """Likes and dislikes, each in the order in which they came."""

    liked: tuple[Signal, ...] = ()
    disliked: tuple[Signal, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.liked or self.disliked)

    def __add__(self, later: Signals) -> Signals:
        """Both together; where they disagree about an item, the later ones are right."""
        now_liked = {signal.item_id for signal in later.liked}
        now_disliked = {signal.item_id for signal in later.disliked}
        return Signals(
            tuple(one for one in self.liked if one.item_id not in now_disliked) + later.liked,
            tuple(one for one in self.disliked if one.item_id not in now_liked) + later.disliked,
        )


def from_events(events: Iterable[Event]) -> Signals:
    """Signals of a user's events, in the order of their arrival: the last word about an item counts."""
    words: LastWords[str] = LastWords()
    for event in events:
        words.add(event.item_id, event)
    return Signals(_flat(words.liked), _flat(words.disliked))


def from_request(request: SessionRequest) -> Signals:
    """Signals that a request brings along."""
    return Signals(
        tuple(Signal(one.item_id, one.weight, one.time) for one in request.liked),
        tuple(Signal(one.item_id, one.weight, one.time) for one in request.disliked),
    )


def _flat(words: Mapping[str, list[Event]]) -> tuple[Signal, ...]:
    return tuple(Signal(one.item_id, one.weight, one.occurred_at) for said in words.values() for one in said)

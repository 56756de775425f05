"""What likes, views, purchases and dislikes say about a user's taste."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cml.events.values import Event
from cml.recommend import Signal
from service.asked import SessionRequest

DISLIKE = "dislike"


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
    liked: dict[str, list[Signal]] = {}
    disliked: dict[str, list[Signal]] = {}
    for event in events:
        says, unsays = (disliked, liked) if event.type == DISLIKE else (liked, disliked)
        unsays.pop(event.item_id, None)
        if event.weight > 0:
            says.setdefault(event.item_id, []).append(Signal(event.item_id, event.weight, event.occurred_at))
    return Signals(_flat(liked), _flat(disliked))


def from_request(request: SessionRequest) -> Signals:
    """Signals that a request brings along."""
    return Signals(
        tuple(Signal(one.item_id, one.weight, one.time) for one in request.liked),
        tuple(Signal(one.item_id, one.weight, one.time) for one in request.disliked),
    )


def _flat(signals: dict[str, list[Signal]]) -> tuple[Signal, ...]:
    return tuple(signal for listed in signals.values() for signal in listed)

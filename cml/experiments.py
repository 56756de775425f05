"""What an A/B experiment led to: users shown each variant, what they did with the lists, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event

CONTROL, CANDIDATE = "control", "candidate"
_Z = 1.959964  # of a two-sided 95 % interval
_POSITIVE = frozenset({"like", "purchase", "view"})


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One variant: users who were shown lists, how many of them acted on one, and their share."""

    users: int
    lists: int
    acted: int  # users with at least one like, purchase or view of a list's item
    events: int  # those events, dislikes not counted
    dislikes: int
    rate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both variants, and the candidate's rate minus the control's."""

    experiment: str
    variants: Mapping[str, Outcome]
    difference: float
    interval: Interval

    @property
    def verdict(self) -> str:
        """What the interval of the difference says, in words."""
        if self.interval.low > 0:
            return "the candidate is better"
        if self.interval.high < 0:
            return "the candidate is worse"
        return "no difference is shown"


def marker(experiment: str) -> str:
    """What stands in the recommendation ids of an experiment's lists, before the variant."""
    return f".{experiment}:"


def compare(store: EventStore, experiment: str) -> Comparison:
    """Compare the variants by the users who acted on a list, among those who were shown one.

    An event counts for the variant that its recommendation id names, if its user was shown that variant.
    Raises EventStoreError when nobody was shown anything.
    """
    exposures = store.exposures(experiment)
    if not exposures:
        raise EventStoreError(
            f"experiment {experiment!r}: no lists were shown; check the name and the event store"
        )
    events = store.attributed(marker(experiment))
    variants = {
        variant: _outcome(exposures.get(variant, {}), _of(events, experiment, variant))
        for variant in (CONTROL, CANDIDATE)
    }
    control, candidate = variants[CONTROL], variants[CANDIDATE]
    return Comparison(experiment, variants, candidate.rate - control.rate, newcombe(candidate, control))


def wilson(hits: int, n: int) -> Interval:
    """Interval of a share (Wilson 1927); from 0 to 1 when nothing was tried."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, z2 = hits / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def newcombe(one: Outcome, other: Outcome) -> Interval:
    """Interval of the difference `one.rate - other.rate` from both Wilson intervals (Newcombe 1998, method 10)."""
    low = sqrt((one.rate - one.interval.low) ** 2 + (other.interval.high - other.rate) ** 2)
    high = sqrt((one.interval.high - one.rate) ** 2 + (other.rate - other.interval.low) ** 2)
    difference = one.rate - other.rate
    return Interval(difference - low, difference + high)


def _of(events: Iterable[Event], experiment: str, variant: str) -> list[Event]:
    named = f"{marker(experiment)}{variant}."
    return [event for event in events if named in (event.recommendation_id or "")]


def _outcome(shown: Mapping[str, int], events: Iterable[Event]) -> Outcome:
    counted = [event for event in events if event.user_id in shown]
    positive = [event for event in counted if event.type in _POSITIVE]
    acted = len({event.user_id for event in positive})
    return Outcome(
        users=len(shown),
        lists=sum(shown.values()),
        acted=acted,
        events=len(positive),
        dislikes=len(counted) - len(positive),
        rate=acted / len(shown) if shown else 0.0,
        interval=wilson(acted, len(shown)),
    )

"""A clock that goes backwards: order is by number, never by time, so nothing is lost or overtaken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cml.config import load_config
from cml.errors import StoppedError
from cml.events.store import EventStore
from cml.events.values import Event, Marks
from cml.registry import Registry
from cml.retraining.order import Order
from cml.retraining.retrain import retrain
from tests.cml.test_retrain_command import QUICK, two_groups

NOW = 1_790_000_000.0  # seconds since 1970
DAY = 86_400.0


def like(event_id: str, user: str, item: str, at: float) -> Event:
    return Event(
        event_id=event_id,
        user_id=user,
        item_id=item,
        type="like",
        weight=1.0,
        occurred_at=at,
        recommendation_id=None,
    )


def seen_by(registry: Registry, user: str) -> set[str]:
    model = registry.load()
    row = model.users.row(user)
    return {
        model.items[int(item)]
        for item in model.seen_items[model.seen_indptr[row] : model.seen_indptr[row + 1]]
    }


def test_events_after_the_clock_went_back_are_news_and_come_last(tmp_path: Path) -> None:
    times = iter([NOW, NOW - DAY])
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}", clock=lambda: next(times))
    store.append([like("first", "ann", "i0", NOW)])
    known = store.changes(Marks()).marks
    store.append([like("second", "bob", "i1", NOW - DAY)])
    assert store.changes(known).users == ("bob",)
    assert [event.event_id for event in store.events_after(0, 10)] == ["first", "second"]
    assert [event.event_id for event in store.events_after(known.events, 10)] == ["second"]
    store.close()


@pytest.mark.slow
def test_a_retraining_after_the_clock_went_back_learns_every_event_and_becomes_current(
    tmp_path: Path,
) -> None:
    registry, url = Registry(tmp_path / "models"), f"sqlite:///{tmp_path / 'events.db'}"
    config = load_config(None, QUICK)
    old = Order(config, files=(two_groups(tmp_path / "old.csv", likes=8),), events=url)
    store = EventStore(url)
    first = retrain(registry, old, clock=lambda: NOW)
    store.append([like("later", "u0", "i1", NOW + DAY), like("earlier", "u0", "i3", NOW - 30 * DAY)])
    new = Order(config, files=(two_groups(tmp_path / "new.csv", likes=10),), events=url)
    ticks = iter([NOW - 7 * DAY, NOW - 8 * DAY])  # also between the beginning and the end of the round
    second = retrain(registry, new, clock=lambda: next(ticks, NOW - 8 * DAY))
    assert (first.outcome, second.outcome) == ("published", "published")
    assert registry.current() == second.version
    assert registry.versions() == [first.version, second.version]
    assert registry.previous() == first.version
    assert second.report["seconds"] == 0.0
    assert {"i1", "i3"} <= seen_by(registry, "u0")
    store.close()


@pytest.mark.slow
def test_a_round_that_had_gathered_nothing_begins_anew_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, url = Registry(tmp_path / "models"), f"sqlite:///{tmp_path / 'events.db'}"
    config = load_config(None, QUICK)
    order = Order(config, files=(two_groups(tmp_path / "old.csv", likes=8),), events=url)
    retrain(registry, order, clock=lambda: NOW)

    def stopped(*_args: object, **_options: object) -> None:
        raise StoppedError("stopped")

    with monkeypatch.context() as night:
        night.setattr("cml.retraining.retrain.gather", stopped)
        with pytest.raises(StoppedError):
            retrain(registry, order, clock=lambda: NOW + DAY)
    store = EventStore(url)
    store.append([like("evening", "u0", "i1", NOW + 1.8 * DAY)])
    store.close()
    done = retrain(registry, order, clock=lambda: NOW + 2 * DAY)
    assert done.outcome == "published"
    assert registry.load().data["last_time"] == NOW + 1.8 * DAY  # not the time at which the first try began
    assert done.report["seconds"] == 0.0

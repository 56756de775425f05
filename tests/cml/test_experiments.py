"""Comparing the variants of an experiment."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cml.commands.ab import command
from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event
from cml.experiments import compare, marker, wilson


def act(number: int, user: str, variant: str, kind: str = "like", experiment: str = "t") -> Event:
    return Event(
        f"e{number}", user, "i", kind, 1.0, 1.0, f"000001-abc{marker(experiment)}{variant}.f{number}"
    )


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'e.db'}"


def shown(url: str, control: int, candidate: int) -> EventStore:
    store = EventStore(url)
    counts = {("t", "control", f"c{number}"): 2 for number in range(control)}
    store.expose(
        counts | {("t", "candidate", f"x{number}"): 3 for number in range(candidate)}, after_erasure=0
    )
    return store


def test_users_who_acted_are_counted_once_each_among_those_who_were_shown_lists(url):
    store = shown(url, control=4, candidate=5)
    store.append([act(1, "c0", "control"), act(2, "c0", "control"), act(3, "c1", "control", "dislike")])
    store.append(
        [act(4, "x0", "candidate"), act(5, "x1", "candidate", "view"), act(6, "x2", "candidate", "purchase")]
    )
    store.append(
        [act(7, "stranger", "candidate"), act(8, "c2", "candidate"), act(9, "c3", "control", experiment="tt")]
    )
    found = compare(store, "t")
    control, candidate = found.variants["control"], found.variants["candidate"]
    assert (control.users, control.lists, control.acted, control.events, control.dislikes) == (4, 8, 1, 2, 1)
    assert (candidate.users, candidate.lists, candidate.acted, candidate.events) == (5, 15, 3, 3)
    assert found.difference == pytest.approx(3 / 5 - 1 / 4)
    assert found.verdict == "no difference is shown"
    store.close()


def test_wilson_intervals_agree_with_published_values():
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (hits, n), (low, high) in published.items():
        got = wilson(hits, n)
        assert (got.low, got.high) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_the_difference_agrees_with_a_published_value(url):
    # Newcombe (1998), Statistics in Medicine 17, table II, method 10: 56/70 - 48/80 gives 0.0524 to 0.3339.
    store = shown(url, control=80, candidate=70)
    store.append([act(number, f"c{number}", "control") for number in range(48)])
    store.append([act(1000 + number, f"x{number}", "candidate") for number in range(56)])
    found = compare(store, "t")
    assert found.difference == pytest.approx(0.2)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.verdict == "the candidate is better"
    store.close()


def test_an_unknown_experiment_is_an_error(url):
    store = EventStore(url)
    with pytest.raises(EventStoreError, match="no lists were shown"):
        compare(store, "t")
    store.close()


def test_a_report_from_a_store_that_is_not_there_makes_none(tmp_path):
    asked = CliRunner().invoke(command, ["report", "t", "--events", f"sqlite:///{tmp_path / 'tpyo.db'}"])
    assert isinstance(asked.exception, EventStoreError)
    assert "no such file" in str(asked.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_printed_for_people_and_programs(url):
    store = shown(url, control=4, candidate=5)
    store.append([act(1, "x0", "candidate")])
    store.close()
    text = CliRunner().invoke(command, ["report", "t", "--events", url], catch_exceptions=False).output
    assert "control" in text
    assert "no difference is shown" in text
    document = (
        CliRunner().invoke(command, ["report", "t", "--events", url, "--json"], catch_exceptions=False).output
    )
    assert '"verdict": "no difference is shown"' in document

"""The event store: durable, idempotent, followed by readers, forgetful on request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event, Experiment, ItemState, Marks, user_digest


def event(event_id: str, user_id: str = "ann", item_id: str = "film", **values: object) -> Event:
    return Event(
        **{"type": "like", "weight": 1.0, "occurred_at": 10.0} | values,
        event_id=event_id,
        user_id=user_id,
        item_id=item_id,
    )  # type: ignore[arg-type]


@pytest.fixture
def url(any_events_url: str) -> str:
    return any_events_url


@pytest.fixture
def store(url: str):
    store = EventStore(url, clock=lambda: 1000.0)
    yield store
    store.close()


def test_what_is_appended_is_read_back_in_order_with_every_field(store):
    first = event("a", item_id="Ünïcode/slash", type="dislike", weight=0.5, recommendation_id="r1")
    store.append([first, event("b")])
    got = store.events_of("ann")
    assert [one.event_id for one in got] == ["a", "b"]
    assert got[0].sequence < got[1].sequence
    for name in ("item_id", "type", "weight", "occurred_at", "recommendation_id"):
        assert getattr(got[0], name) == getattr(first, name)


def test_an_event_id_counts_once_within_and_across_batches(store):
    assert store.append([event("a"), event("a"), event("b")]) == {"a", "b"}
    assert store.append([event("b", item_id="other"), event("c")]) == {"c"}
    assert store.count() == 3
    assert [one.item_id for one in store.events_of("ann") if one.event_id == "b"] == ["film"]


def test_commits_survive_in_another_store_object_at_once(store, url):
    store.append([event("a")])
    other = EventStore(url)
    assert other.count() == 1
    other.close()


def setting(store: EventStore, name: str) -> object:
    with store.viewing() as connection:
        ask = f"PRAGMA {name}" if connection.dialect.name == "sqlite" else f"SHOW {name}"
        return connection.exec_driver_sql(ask).scalar_one()


def test_the_database_syncs_every_commit_to_disk(store, url):
    if url.startswith("sqlite"):
        assert setting(store, "journal_mode") == "wal"
        assert setting(store, "synchronous") == 2  # FULL
    else:
        assert setting(store, "synchronous_commit") == "on"


def test_the_version_moves_with_every_commit_and_only_then(store, url):
    writer = EventStore(url)
    before = store.version()
    assert store.version() == before
    writer.append([event("a")])
    after = store.version()
    assert after != before
    store.append([event("b")])
    assert store.version() != after
    writer.close()


def test_changes_name_the_users_whose_events_came_after_the_marks(store):
    store.append([event("a", "ann"), event("b", "bob")])
    seen = store.changes(Marks())
    assert set(seen.users) == {"ann", "bob"}
    store.append([event("c", "cid")])
    later = store.changes(seen.marks)
    assert later.users == ("cid",)
    assert store.changes(later.marks).users == ()


def test_marks_never_go_back_when_the_newest_rows_are_erased(store):
    store.append([event("a"), event("b")])
    seen = store.changes(Marks())
    store.erase("ann")
    after = store.changes(seen.marks)
    assert after.marks.events == seen.marks.events
    store.append([event("c", "bob")])
    assert store.changes(after.marks).users == ("bob",)


def test_erasing_leaves_a_digest_and_nothing_else(store):
    store.append([event("a", "someone-very-unusual"), event("b", "bob")])
    store.expose({("test", "control", "someone-very-unusual"): 3}, after_erasure=0)
    assert store.erase("someone-very-unusual") == 1
    assert store.events_of("someone-very-unusual") == []
    assert store.exposures("test") == {}
    assert store.erased() == {user_digest("someone-very-unusual")}
    assert [one.event_id for one in store.events_of("bob")] == ["b"]


def test_no_file_of_sqlite_holds_what_was_erased(tmp_path):
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    store.append([event("a", "someone-very-unusual"), event("b", "bob")])
    store.erase("someone-very-unusual")
    files = list(tmp_path.glob("events.db*"))
    assert files
    for file in files:
        assert b"someone-very-unusual" not in file.read_bytes(), file.name
    store.close()


def test_an_erasure_is_among_the_changes_and_a_second_one_is_news_again(store):
    store.erase("ann")
    first = store.changes(Marks())
    assert [digest for digest, _ in first.erased] == [user_digest("ann")]
    store.erase("ann")
    again = store.changes(first.marks)
    assert [digest for digest, _ in again.erased] == [user_digest("ann")]
    assert again.erased[0][1] > first.erased[0][1]


def test_an_item_keeps_what_was_said_last(store):
    store.put_item(ItemState("film", hidden=True, metadata={"title": "Ä"}, features={"plot": "Ö"}))
    assert store.item("film") == ItemState("film", True, {"title": "Ä"}, {"plot": "Ö"})
    marks = store.changes(Marks()).marks
    store.put_item(ItemState("film", metadata={"title": "B"}))
    assert store.item("film") == ItemState("film", False, {"title": "B"}, None)
    assert store.changes(marks).items == (ItemState("film", False, {"title": "B"}, None),)
    assert store.item("other") is None


def test_hiding_an_item_loses_nothing_that_is_said_meanwhile(store):
    store.put_item(ItemState("film", metadata={"title": "A"}, features={"plot": "B"}))
    added_at = store.item("film").added_at
    store.hide_item("film", True)
    assert store.item("film") == ItemState("film", True, {"title": "A"}, {"plot": "B"})
    assert store.item("film").added_at == added_at
    store.hide_item("film", False)
    assert store.item("film") == ItemState("film", False, {"title": "A"}, {"plot": "B"})
    store.hide_item("other", False)
    assert store.item("other") is None
    store.hide_item("other", True)
    assert store.item("other") == ItemState("other", True)


def test_hiding_and_describing_at_once_keeps_the_description(store):
    names = [f"film-{number}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        hidden = [pool.submit(store.hide_item, name, True) for name in names]
        described = [pool.submit(store.put_item, ItemState(name, metadata={"title": "A"})) for name in names]
        for one in (*hidden, *described):
            one.result(30)
    assert [store.item(name).metadata for name in names] == [{"title": "A"}] * 20


def test_an_item_is_as_old_as_what_was_said_of_it_first_and_none_are_equally_old(url):
    moment = 1000.0
    store = EventStore(url, clock=lambda: moment)
    for item_id in ("a", "b", "c"):
        store.put_item(ItemState(item_id))
    moment = 900.0  # the clock was set back
    store.put_item(ItemState("d"))
    moment = 2000.0
    store.put_item(ItemState("a", metadata={"title": "A"}))
    store.put_item(ItemState("e"))
    added = [state.added_at for item_id in "abcde" if (state := store.item(item_id))]
    assert added == [1000.0, 1000.000001, 1000.000002, 1000.000003, 2000.0]
    store.close()


def test_the_last_decision_about_experiments_counts(store):
    assert store.experiment() is None
    store.decide(Experiment("warmer", "000002-abc", 0.1))
    marks = store.changes(Marks()).marks
    assert store.changes(marks).experiment is None
    store.decide(Experiment("warmer", None, 0.0))
    assert store.experiment() == Experiment("warmer", None, 0.0)
    assert store.changes(marks).experiment == Experiment("warmer", None, 0.0)


def test_exposures_add_up_by_variant_and_user(store):
    store.expose({("t", "control", "ann"): 2, ("t", "candidate", "bob"): 1}, after_erasure=0)
    store.expose({("t", "control", "ann"): 3, ("other", "control", "ann"): 9}, after_erasure=0)
    assert store.exposures("t") == {"control": {"ann": 5}, "candidate": {"bob": 1}}


def test_retraining_reads_events_page_by_page(store):
    store.append([event(str(number)) for number in range(5)])
    first = store.events_after(0, limit=3)
    second = store.events_after(first[-1].sequence, limit=3)
    assert [one.event_id for one in first + second] == ["0", "1", "2", "3", "4"]


def test_attributed_events_are_found_by_their_marker_literally(store):
    store.append(
        [
            event("a", recommendation_id="v1.t:control.9"),
            event("b", recommendation_id="v1.t_control.9"),
            event("c"),
        ]
    )
    assert [one.event_id for one in store.attributed(".t:")] == ["a"]
    assert [one.event_id for one in store.attributed("t_c")] == ["b"]


def test_opening_an_existing_store_keeps_its_rows(store, url):
    store.append([event("a")])
    store.close()
    again = EventStore(url)
    assert again.count() == 1
    again.close()


@pytest.mark.parametrize(
    ("bad", "hint"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://localhost/x", "not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:////no/such/directory/e.db", "directory does not exist"),
    ],
)
def test_unusable_urls_are_refused_with_a_way_out(bad, hint):
    with pytest.raises(EventStoreError, match=hint):
        EventStore(bad)


def test_a_damaged_file_is_an_error_of_ours(tmp_path):
    (tmp_path / "events.db").write_bytes(b"this is not a database, it is long enough to be looked at" * 20)
    with pytest.raises(EventStoreError, match="not a database"):
        EventStore(f"sqlite:///{tmp_path / 'events.db'}")

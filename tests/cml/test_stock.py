"""Added items: every list is what it would be if the version had been published with them."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cml import artifact
from cml.additions import Addition, Additions
from cml.catalogue import Catalogue
from cml.content import Content
from cml.errors import QueryError, VocabularyError
from cml.neighbours import users_for_item
from cml.recommend import Signal, popular, recommend, recommend_session, similar_items
from cml.snapshot import Snapshot
from cml.vocabulary import Vocabulary
from tests.cml import small_models
from tests.cml.small_models import DAY, GENRES, points
from tests.reference.lists import nearest

N_OWN, N_PLACED = 200, 30
OPTIONS: list[dict[str, Any]] = [
    {},
    {"k": 150},
    {"k": 7, "offset": 95},
    {"k": 500},
    {"exclude_seen": False, "k": 60},
    {"where": {"genres": ["Horror"]}, "k": 80},
    {"where": {"genres": {"none": ["Horror"]}, "year": {"min": 1990}}},
    {"where": {"shelf": {"max": 3}}, "k": 40},
    {"exclude": ["new-0", "new-1", "film-003"], "k": 120},
    {"allow": ["new-3", "new-7", "film-100", "film-101"]},
    {"available_at": 50 * DAY, "k": 100},
    {"max_distance": 1.0, "k": 200},
    {"diversity": 0.5, "k": 30},
    {"diversity": 0.5, "k": 30, "offset": 90},
    {"because": 2, "k": 50},
]


def new_items(n: int = N_PLACED) -> list[Addition]:
    rng = np.random.default_rng(7)
    return [
        Addition(
            f"new-{at}",
            {"title": f"New {at}", "genres": [GENRES[at % 4]], "year": 1990 + at, "shelf": at % 6}
            | ({"available_from": at * DAY} if at % 2 else {}),
            200 * DAY + at,
            vector,
        )
        for at, vector in enumerate(points(n, 8, rng))
    ]


def published_with(content: Content, added: list[Addition]) -> Content:
    """The same version, had it been made with these items."""
    names = {*content.catalogue.columns, *(name for item in added for name in item.metadata)}
    columns = {
        name: [content.catalogue.record(row).get(name) for row in range(N_OWN)]
        + [item.metadata.get(name) for item in added]
        for name in names
    }
    kinds = {name: column.kind for name, column in content.catalogue.columns.items()} | {"shelf": "number"}
    assert content.trending is not None
    assert content.first_seen is not None
    zeros = np.zeros(len(added))
    return replace(
        content,
        items=Vocabulary([*content.items, *(item.item_id for item in added)]),
        item_vectors=np.concatenate([content.item_vectors, np.stack([item.vector for item in added])]),
        popularity=np.concatenate([content.popularity, zeros]),
        trending=np.concatenate([content.trending, zeros]),
        first_seen=np.concatenate([content.first_seen, [item.added_at for item in added]]),
        catalogue=Catalogue.from_columns(N_OWN + len(added), columns, kinds),
    )


def snapshot_of(content: Content, directory: Path, index: Any = "exact") -> Snapshot:
    artifact.write(content, directory, index=index)
    return Snapshot(artifact.load(directory), "000001-aaaaaaaaaaaa")


def with_added(snapshot: Snapshot, added: list[Addition], hidden: tuple[str, ...] = ()) -> Snapshot:
    return snapshot.masked(erased=(), hidden=hidden, added=Additions.of(added, snapshot.artifact))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, Snapshot]:
    """A version with added items, and one published with them."""
    directory, content = tmp_path_factory.mktemp("stock"), small_models.content()
    own = snapshot_of(content, directory / "own")
    return with_added(own, new_items()), snapshot_of(published_with(content, new_items()), directory / "all")


def listed(found: Any) -> list[tuple]:
    return [
        (item.item_id, item.distance, item.score, item.record, [own.item_id for own in item.because])
        for item in found.items
    ]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_lists_are_those_of_a_version_published_with_the_items(
    pair: tuple[Snapshot, Snapshot], options: dict[str, Any]
) -> None:
    added, whole = pair
    total = 0
    for user in range(40):
        found = recommend(added, f"user/{user}", **options)
        assert listed(found) == listed(recommend(whole, f"user/{user}", **options))
        total += sum(item.item_id.startswith("new-") for item in found.items)
    assert total > 0
    for item_id in ("film-007", "new-3"):
        assert listed(similar_items(added, item_id, **options)) == listed(
            similar_items(whole, item_id, **options)
        )
    for by in ("popular", "trending", "recent"):
        assert listed(popular(added, by=by, **options)) == listed(popular(whole, by=by, **options))  # type: ignore[arg-type]


def test_hidden_added_items_are_in_no_list(pair: tuple[Snapshot, Snapshot]) -> None:
    added, whole = pair
    hidden = ("new-0", "new-5", "film-001")
    one, other = (
        with_added(added, new_items(), hidden),
        whole.masked(erased=(), hidden=hidden),
    )
    for user in range(40):
        assert listed(recommend(one, f"user/{user}", k=300)) == listed(
            recommend(other, f"user/{user}", k=300)
        )
    assert not {item.item_id for item in popular(one, k=300).items} & set(hidden)


def test_an_approximate_index_lets_no_added_item_out(tmp_path: Path) -> None:
    content = small_models.content(n_items=N_OWN)
    cells = with_added(snapshot_of(content, tmp_path / "cells", "cells"), new_items())
    for user in range(40):
        vector = content.user_vectors[user]
        found = recommend(cells, f"user/{user}", k=150, exclude_seen=False).items
        reach = max(item.distance or 0 for item in found)
        near = {
            item.item_id
            for item in new_items()
            if item.vector is not None and np.linalg.norm(vector - item.vector) < reach - 1e-5
        }
        assert near <= {item.item_id for item in found}
        assert [item.distance for item in found] == sorted(item.distance or 0 for item in found)


def test_users_near_an_added_item(pair: tuple[Snapshot, Snapshot]) -> None:
    added, whole = pair
    assert users_for_item(added, "new-4", k=40) == users_for_item(whole, "new-4", k=40)


def test_a_session_over_added_items(pair: tuple[Snapshot, Snapshot]) -> None:
    added, _ = pair
    liked = [Signal("new-3"), Signal("film-010")]
    found = recommend_session(added, liked, [Signal("new-8")], k=20)
    rows = np.array([added.stock.find(item_id) for item_id in ("new-3", "film-010", "new-8")])
    point = added.fold_in.point(rows[:2], disliked=rows[2:])
    vectors = np.concatenate([added.artifact.item_vectors, np.stack([item.vector for item in new_items()])])
    free = [row for row in range(len(vectors)) if row not in rows]
    wanted = nearest(point.tolist(), vectors.tolist(), 20, free)
    assert found.rows.tolist() == [row for row, _ in wanted]
    assert found.skipped == ()
    moved = added.fold_in.point(rows[1:2])
    assert np.linalg.norm(point - vectors[rows[0]]) < np.linalg.norm(moved - vectors[rows[0]])


def test_an_item_without_a_place_is_only_in_lists_for_everybody(pair: tuple[Snapshot, Snapshot]) -> None:
    lost = Addition("lost", {"title": "Lost and found", "genres": ["Drama"]}, 900 * DAY, None, "no features")
    added = with_added(pair[0], [lost, *new_items(3)])
    assert popular(added, by="recent", k=1).items[0].item_id == "lost"
    assert popular(added, k=500).items[-1].item_id == "lost"
    assert popular(added, k=500, where={"genres": ["Drama"]}).items[-1].item_id == "lost"
    for options in OPTIONS[:4]:
        assert "lost" not in {item.item_id for item in recommend(added, "user/1", **options).items}
    assert recommend(added, "user/1", allow=["lost", "new-1"]).skipped == ("lost",)
    assert recommend_session(added, [Signal("lost"), Signal("new-1")]).skipped == ("lost",)
    assert [added.card(row).item_id for row in added.stock.search_titles("lost", 5)] == ["lost"]
    for asked in (similar_items, users_for_item):
        with pytest.raises(
            QueryError, match="'lost' has no place in version 000001-aaaaaaaaaaaa: no features"
        ):
            asked(added, "lost")  # type: ignore[operator]
    with pytest.raises(VocabularyError, match="nowhere"):
        added.require_item("nowhere")


def test_titles_of_added_items_are_ranked_among_the_others(pair: tuple[Snapshot, Snapshot]) -> None:
    added, whole = pair
    for query in ("new", "new 1", "film 1", "1", "nothing"):
        assert added.stock.search_titles(query, 15) == whole.stock.search_titles(query, 15)


def test_a_filter_on_a_column_that_nobody_has_names_those_there_are(pair: tuple[Snapshot, Snapshot]) -> None:
    with pytest.raises(QueryError, match=r"'sheflf': no such column.*shelf"):
        recommend(pair[0], "user/1", where={"sheflf": 1})


def test_values_that_do_not_fit_a_column_are_left_out(tmp_path: Path) -> None:
    own = small_models.snapshot(tmp_path)
    said = [{"year": "soon", "mood": "dark"}, {"year": 1999, "mood": 3}, {"available_until": "2020-01-01"}]
    added = Additions.of([Addition(f"n{at}", each, at) for at, each in enumerate(said)], own.artifact)
    assert [added.record(at) for at in range(3)] == [
        {"mood": "dark"},
        {"year": 1999, "mood": "3"},
        {"available_until": "2020-01-01"},
    ]


def test_a_masked_snapshot_goes_without_the_garbage_collector(tmp_path: Path) -> None:
    own = small_models.snapshot(tmp_path)
    added = with_added(own, new_items())
    listed(recommend(added, "user/1", where={"year": {"min": 1990}}))
    listed(recommend_session(added, [Signal("new-1")]))
    gc.disable()
    try:
        gone = weakref.ref(added), weakref.ref(own.artifact)
        del own, added
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_somebody_who_likes_nearly_everything_and_more_added_items_than_are_left(tmp_path: Path) -> None:
    few = with_added(small_models.snapshot(tmp_path, n_items=12), new_items(5))
    own = [Signal(f"film-{row:03d}") for row in range(11)]
    found = recommend_session(few, [*own, *(Signal(f"new-{at}") for at in range(5))], k=5)
    assert [item.item_id for item in found.items] == ["film-011"]
    assert np.isfinite(found.values).all()

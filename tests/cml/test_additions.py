"""Additions made by one change after another are those that are made at once, and earlier ones stay as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cml.additions import Addition, Additions
from cml.artifact import Artifact
from cml.errors import QueryError
from tests.cml import small_models

WHERE: list[dict[str, Any]] = [
    {"genres": ["Horror"]},
    {"genres": {"none": ["Horror"]}},
    {"year": {"min": 1990}},
    {"mood": {"any": [3]}},
    {"mood": {"none": [3]}},
    {"shelf": {"none": ["a"]}, "year": {"max": 2000}},
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return small_models.snapshot(tmp_path_factory.mktemp("additions")).artifact


def an_addition(number: int, rng: np.random.Generator) -> Addition:
    """Whatever may be said of the item that arrived with this number; a fifth have no place."""
    said: dict[str, Any] = {
        "title": f"New {number}",
        "genres": [["Horror"], ["Drama", "Crime"], []][rng.integers(3)],
    }
    if rng.random() < 0.5:
        said["year"] = int(rng.integers(1980, 2020))
    if rng.random() < 0.1:
        said["mood"] = [3, "dark", ["dark"]][rng.integers(3)]
    if rng.random() < 0.02:
        said["shelf"] = ["a", "b"]
    if rng.random() < 0.1:
        said["available_from"] = int(rng.integers(0, 100)) * 86400
    vector = None if rng.random() < 0.2 else rng.standard_normal(8).astype(np.float32)
    return Addition(f"new-{number}", said, np.nan if number == 0 else float(number), vector, "no reason")


def shown(additions: Additions) -> dict[str, Any]:
    """All that can be asked of them."""
    filters: list[Any] = []
    for where in WHERE:
        try:
            filters.append(additions.matching(where).tolist())
        except QueryError as error:
            filters.append(str(error))
    available = additions.available(50 * 86400)
    ids = [item.item_id for part in additions.parts for item in part]
    assert [additions.find(item_id) for item_id in ids] == list(range(len(additions)))
    assert [additions[at].item_id for at in range(len(additions))] == ids
    return {
        "ids": ids,
        "vectors": additions.vectors.tolist(),
        "added_at": np.nan_to_num(additions.added_at, nan=-1.0).tolist(),
        "records": [additions.record(at) for at in range(len(additions))],
        "kinds": dict(additions.kinds),
        "filters": filters,
        "available": None if available is None else available.tolist(),
        "titles": additions.title_ranks("new 1"),
    }


@pytest.mark.parametrize("seed", range(3))
def test_one_change_after_another_gives_what_all_at_once_give(own: Artifact, seed: int) -> None:
    rng = np.random.default_rng(seed)
    additions, wanted = Additions.none(own), dict[int, Addition]()
    kept = []
    number = 0
    for step in range(140):
        come = []
        for _ in range(rng.integers(1, 9)):
            come.append(an_addition(number, rng))
            number += 1
        if step % 4 == 0 and number > 20:  # said again, or come late because another worker stored it
            late = int(rng.integers(number))
            come = [item for item in come if item.item_id != f"new-{late}"] + [an_addition(late, rng)]
        gone = [f"new-{rng.integers(number)}", "nobody"] if step % 9 == 0 else []
        come = [come[at] for at in rng.permutation(len(come)) if come[at].item_id not in gone]
        additions = additions.changed(come, gone)
        wanted = {at: item for at, item in wanted.items() if item.item_id not in gone}
        wanted |= {int(item.item_id.removeprefix("new-")): item for item in come}
        if step % 20 == 0:
            kept.append((additions, shown(additions)))
    assert len(additions) > 500
    assert len(additions.parts[1]) > 50
    at_once = Additions.of(wanted.values(), own)
    assert shown(additions) == shown(at_once)
    assert [shown(earlier) for earlier, _ in kept] == [as_it_was for _, as_it_was in kept]


def test_two_lines_may_grow_from_the_same_additions(own: Artifact) -> None:
    rng = np.random.default_rng(9)
    first = Additions.of([an_addition(at, rng) for at in range(100)], own)
    one, other = (first.changed([an_addition(at, rng)]) for at in (100, 101))
    assert (one.find("new-101"), other.find("new-100"), first.find("new-100")) == (None, None, None)
    assert len(first) == 100
    assert one[one.find("new-100") or 0].item_id == "new-100"
    assert other[other.find("new-101") or 0].item_id == "new-101"


def test_one_more_item_makes_no_metadata_of_the_others_again(
    own: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    additions = Additions.of([an_addition(at, rng) for at in range(1000)], own)
    additions.make_ready()
    made = []
    build = small_models.Catalogue.from_columns
    monkeypatch.setattr(
        "cml.item_changes.Catalogue.from_columns",
        lambda n_items, *rest: made.append(n_items) or build(n_items, *rest),
    )
    more = additions.changed([an_addition(1000, rng)])
    more.record(len(more) - 1)
    more.make_ready()
    assert 0 < sum(made) <= 16
    changed = more.changed([an_addition(3, np.random.default_rng(5))])
    made.clear()
    changed.make_ready()
    assert 0 < sum(made) <= 2 * 256


def test_a_column_takes_the_kind_of_its_first_value_also_when_that_is_changed(own: Artifact) -> None:
    said: list[dict[str, Any]] = [{"mood": 3}, *({} for _ in range(30)), {"mood": "dark"}]
    additions = Additions.of([Addition(f"new-{at}", each, at + 1.0) for at, each in enumerate(said)], own)
    last = additions.find("new-31") or 0
    assert (additions.kinds["mood"], additions.record(last)) == ("number", {})
    changed = additions.changed([Addition("new-0", {"mood": "calm"}, 1.0)])
    assert (changed.kinds["mood"], changed.record(last)) == ("text", {"mood": "dark"})
    assert "mood" in additions.changed([], gone=["new-0"]).kinds
    assert "mood" not in additions.changed([], gone=["new-0", "new-31"]).kinds

"""`cml items add`: a catalogue joins a published version without training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cml.cli import cli
from cml.errors import ArtifactError, CmlError, DataError
from cml.features.values import fitting
from cml.growth import ADDED, with_added
from cml.recommend import popular, recommend
from cml.registry import Registry
from cml.snapshot import load_snapshot
from cml.vocabulary import Vocabulary
from tests.service.worlds import content, placing, publish

TABLE = """item_id,title,genres,year,released
new1,The Thing,Horror,1982,1982-06-25
i5,Heat again,Horror,1996,1996-02-22
new2,Clerks,Comedy,soon,1994-10-19
new1,The Thing twice,Comedy,1983,
,Nameless,Comedy,1990,
lost,Lost,Musical,,
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models", placing(content()))
    return tmp_path / "models"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "films.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path / "films.csv"


def add(table: Path, models: Path, *options: object) -> str:
    arguments = ["items", "add", table, "--models", models, *options]
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def added(table: Path, models: Path, *options: object) -> Mapping:
    return json.loads(add(table, models, *options, "--json"))


def test_a_catalogue_joins_the_current_version(models: Path, table: Path) -> None:
    before = load_snapshot(models)
    report = added(table, models)
    assert {
        name: report[name] for name in report if name not in ("version", "current", "from", "reading")
    } == {
        "items": 10,
        "added": 2,
        "updated": 0,
        "known": 1,
        "without_features": 1,
        "first_known": ["i5"],
        "first_without_features": ["lost"],
        "matrices_not_given": [],
    }
    assert report["from"] == before.version
    assert report["reading"]["rejected"] == {
        "missing item id": 1,
        "the item has a row already, which counts": 1,
    }
    assert report["reading"]["unreadable"] == {"year": 1}
    after = load_snapshot(models)
    assert after.version == report["version"] == report["current"]
    listed = recommend(after, "ann", k=20).items
    assert (listed[0].item_id, listed[-1].item_id) == ("new1", "new2")
    assert after.stock.columns["released"] == "date"
    assert recommend(after, "ann", where={"released": {"min": "1982-01-01"}}).items[0].item_id == "new1"
    assert after.card(after.require_item("new1")).record == {
        "title": "The Thing",
        "genres": ["Horror"],
        "year": 1982,
        "released": "1982-06-25",
    }
    assert after.card(after.require_item("i5")).record["title"] == "Heat"
    assert popular(after, by="recent", k=1).items[0].item_id in ("new1", "new2")
    np.testing.assert_array_equal(after.artifact.item_vectors[:8], before.artifact.item_vectors)
    np.testing.assert_array_equal(after.artifact.seen_items, before.artifact.seen_items)
    assert after.artifact.placer is not None
    assert after.artifact.data["added_items"] == {"first_row": 8, "items": 2}
    Registry(models).verify(after.version)


def test_what_people_read(models: Path, table: Path) -> None:
    name = Registry(models).current()
    lines = add(table, models).splitlines()
    assert lines[0] == f"added 2 items to {name}"
    assert lines[1:] == [
        "  left out: 1 known already (i5); --update changes them",
        "  left out: 1 without a feature that counts (lost)",
        f"  left out: {table}:5: 'new1', the item has a row already, which counts; drop one of the two",
        f"  left out: {table}:6: '', missing item id; fill it in or drop the row",
        "  unreadable: 1 values of year, the first is 'soon'",
        f"published {Registry(models).current()}: 10 items",
    ]


def test_added_items_can_be_updated_and_move_but_trained_ones_stay(models: Path, table: Path) -> None:
    added(table, models)
    table.write_text("item_id,title,genres\nnew1,The Thing,Comedy\ni5,Heat again,Comedy\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"nothing to add to version .*: 2 known already \(new1, i5\)"):
        added(table, models)
    report = added(table, models, "--update")
    assert (report["added"], report["updated"], report["known"], report["items"]) == (0, 2, 0, 10)
    after = load_snapshot(models)
    vectors = after.stock.vectors(np.array([after.require_item("new1"), after.require_item("i5")]))
    assert vectors[:, 0] == pytest.approx([0.95, 0.6])
    assert after.card(after.require_item("i5")).record["title"] == "Heat again"
    assert after.card(after.require_item("new1")).record["year"] == 1982
    assert recommend(after, "ann", k=20).items[-1].item_id in ("new1", "new2")


def test_adding_twice_counts_all_that_were_placed(models: Path, table: Path) -> None:
    added(table, models)
    table.write_text("item_id,genres\nnew3,Crime\n", encoding="utf-8")
    added(table, models)
    assert load_snapshot(models).artifact.data["added_items"] == {"first_row": 8, "items": 3}


def test_another_registry_and_a_version_that_does_not_answer_yet(
    models: Path, table: Path, tmp_path: Path
) -> None:
    before = Registry(models).current()
    report = added(table, models, "--to", tmp_path / "other", "--inactive")
    assert report["current"] is None
    assert Registry(models).versions() == [before]
    assert Registry(tmp_path / "other").versions() == [report["version"]]
    assert "(not current)" in add(table, models, "--inactive")
    assert Registry(models).current() == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("item_id,genres\nnew,Musical\n", "1 without a feature that counts"),
        ("film,genres\nnew,Horror\n", "has no column 'item_id'"),
        ("item_id,genres\n", "none of 0 rows has a usable item id"),
    ],
)
def test_a_table_that_adds_nothing_publishes_nothing(
    models: Path, table: Path, text: str, error: str
) -> None:
    table.write_text(text, encoding="utf-8")
    before = Registry(models).versions()
    with pytest.raises(CmlError, match=error):
        add(table, models)
    assert Registry(models).versions() == before


def test_a_version_without_an_extractor_is_refused(models: Path, table: Path) -> None:
    publish(models, replace(content(), placer=None))
    with pytest.raises(ArtifactError, match=r"no feature extractor.*cml train --features"):
        add(table, models)


def test_strict_refuses_the_file(models: Path, table: Path) -> None:
    with pytest.raises(DataError, match="strict"):
        add(table, models, "--strict")


def test_what_was_added_is_placed_anew_by_the_version_that_is_trained_next(models: Path, table: Path) -> None:
    added(table, models)
    before = Registry(models).load()
    assert before.first_seen is not None
    came = np.full(len(before.first_seen), 7e8)
    before = replace(before, first_seen=came)
    first = before.data[ADDED]["first_row"]
    waiting = list(before.items[first:])
    trained = placing(content(flip=True))
    after = with_added(trained, before)
    assert list(after.items) == [*trained.items, *waiting]
    assert after.data[ADDED] == {"first_row": len(trained.items), "items": len(waiting)}
    assert trained.placer is not None
    for offset, item_id in enumerate(waiting):
        row = before.items.row(item_id)
        record = before.catalogue.record(row)
        assert after.catalogue.record(len(trained.items) + offset) == record
        place = trained.placer.place([fitting(trained.placer.encoder, record)]).vectors[0]
        assert np.allclose(after.item_vectors[len(trained.items) + offset], place)
    assert before.first_seen is not None
    assert after.first_seen is not None
    assert after.first_seen[len(trained.items) :].tolist() == before.first_seen[first:].tolist()
    liked = replace(trained, items=Vocabulary([waiting[0], *list(trained.items)[1:]]))
    assert list(with_added(liked, before).items) == [*liked.items, *waiting[1:]]
    assert with_added(replace(trained, placer=None), before).items == trained.items

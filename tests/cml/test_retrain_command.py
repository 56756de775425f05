from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml.artifact import read_manifest
from cml.cli import cli
from cml.commands.retrain import command
from cml.config import load_config
from cml.errors import CmlError, ConfigError, DataError, QualityGateError, RegistryError
from cml.events.store import EventStore
from cml.events.values import Event, ItemState
from cml.registry import Registry
from cml.retraining import past
from cml.retraining.order import Order
from cml.retraining.retrain import retrain as run_retraining

QUICK = (
    "epochs=15",
    "dim=8",
    "batch_size=64",
    "publish.metric=recall@10",
    "train.metric=recall@10",
    "threads=1",
)
HOPELESS = ("--cold", "--set", "epochs=1", "--set", "learning_rate=1e-9", "--set", "start=random")


def two_groups(path: Path, likes: int) -> Path:
    """80 users in two groups like the first `likes` items of a fixed order over their group's 20 items."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(20) + 20 * (user % 2) for user in range(80)]
    rows = [
        f"u{u},i{item},{time}" for u, order in enumerate(orders) for time, item in enumerate(order[:likes])
    ]
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    return path


def retrain(data: Path, models: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--train", str(data), "--models", str(models), *options])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry whose one version was trained on 8 likes a user."""
    data = two_groups(tmp_path / "old.csv", likes=8)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    first = retrain(data, tmp_path / "models", *settings)
    assert first.exit_code == 0, first.output
    assert "popularity" in first.stdout  # nothing else to compare with
    return tmp_path / "models"


def test_a_model_that_is_no_worse_is_published_with_the_current_settings(
    models: Path, tmp_path: Path
) -> None:
    before = Registry(models).current()
    result = retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["published"]
    assert found["before"] == before
    assert found["version"] == Registry(models).current() != before
    assert found["verdict"]["against"] == "current version"
    assert found["verdict"]["users"] == 80
    manifest = read_manifest(Registry(models).path(found["version"]))
    assert (manifest.dim, manifest.config["train"]["epochs"]) == (8, 15)


def test_a_worse_model_is_refused_and_nothing_changes(models: Path, tmp_path: Path) -> None:
    before = Registry(models).current(), Registry(models).versions()
    result = retrain(two_groups(tmp_path / "new.csv", likes=10), models, *HOPELESS, "--json")
    assert isinstance(result.exception, QualityGateError)
    assert result.exception.exit_code == 3
    assert "worse by more than 2.0%: recall@10" in str(result.exception)
    assert json.loads(result.stdout)["published"] is False
    assert (Registry(models).current(), Registry(models).versions()) == before


def test_a_gate_that_was_opened_for_one_round_is_closed_in_the_next(models: Path, tmp_path: Path) -> None:
    opened = retrain(two_groups(tmp_path / "new.csv", likes=10), models, *HOPELESS, "--gate", "5", "--json")
    assert json.loads(opened.stdout)["verdict"]["tolerance"] == 5
    assert json.loads(opened.stdout)["published"] is True
    current = Registry(models).require_current()
    assert read_manifest(Registry(models).path(current)).config["publish"]["tolerance"] == 0.02


def test_files_that_lost_most_of_their_rows_are_refused_unless_that_is_meant(
    models: Path, tmp_path: Path
) -> None:
    before = Registry(models).current()
    broken_off = tmp_path / "new.csv"
    lines = two_groups(broken_off, likes=10).read_text().splitlines(keepends=True)
    broken_off.write_text("".join(lines[:320]))  # 319 pairs of the first 32 users; 320 would be half of 640
    result = retrain(broken_off, models)
    assert isinstance(result.exception, DataError)
    assert "319 pairs, fewer than half of the 640" in str(result.exception)
    assert Registry(models).current() == before
    assert retrain(broken_off, models, "--force").exit_code == 0


@pytest.mark.parametrize("theirs", ["steps/notes.txt", "artifact/notes.txt"])
def test_a_directory_that_is_no_retrainings_is_refused_and_left_alone(
    models: Path, tmp_path: Path, theirs: str
) -> None:
    file = tmp_path / "run" / theirs
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    result = retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--out", str(tmp_path / "run"))
    assert isinstance(result.exception, ConfigError)
    assert "choose another --out" in str(result.exception)
    assert file.read_text() == "mine"


def test_a_history_that_cannot_be_read_ends_it_before_anything_is_published(
    models: Path, tmp_path: Path
) -> None:
    before = Registry(models).current()
    (models / past.FILE).write_bytes(b"\xff")
    result = retrain(two_groups(tmp_path / "new.csv", likes=10), models)
    assert isinstance(result.exception, DataError)
    assert "history.jsonl: cannot be read" in str(result.exception)
    assert Registry(models).current() == before


def test_a_rollback_while_it_works_is_not_undone(models: Path, tmp_path: Path) -> None:
    registry = Registry(models)
    first = registry.current()
    assert retrain(two_groups(tmp_path / "new.csv", likes=10), models).exit_code == 0
    second = registry.current()
    config = load_config(None, (), base=read_manifest(registry.path(registry.require_current())).config)
    order = Order(config, files=(two_groups(tmp_path / "newer.csv", likes=12),))
    with pytest.raises(RegistryError, match=f"{first} was made current while .* judged against {second}"):
        run_retraining(registry, order, listen=lambda _: registry.set_current(first))
    assert (registry.current(), registry.versions()) == (first, [first, second])
    assert run_retraining(registry, order).before == first


def test_the_published_model_has_learned_from_everything(models: Path, tmp_path: Path) -> None:
    done = retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--out", str(tmp_path / "run"))
    assert done.exit_code == 0
    assert read_manifest(tmp_path / "run" / "artifact").data["pairs"] == 80 * 10
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "artifact",
        "report.json",
        "report.txt",
    ]
    assert "judged on 80 latest pairs" in (tmp_path / "run" / "report.txt").read_text()


def test_without_anything_new_nothing_happens(models: Path, tmp_path: Path) -> None:
    before = Registry(models).versions()
    result = retrain(two_groups(tmp_path / "old.csv", likes=8), models, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["outcome"] == "nothing new"
    assert Registry(models).versions() == before


def test_forgotten_files_are_asked_for(models: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--models", str(models)])
    assert isinstance(result.exception, ConfigError)
    assert "learned from files, too (640 pairs): give them with --train" in str(result.exception)


@pytest.mark.parametrize(
    ("url", "said"), [("sqlite:////nowhere/events.db", "no such file"), ("events.db", "expected a URL")]
)
def test_an_event_store_that_is_named_has_to_be_there(
    models: Path, tmp_path: Path, url: str, said: str
) -> None:
    result = retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--events", url)
    assert isinstance(result.exception, CmlError)
    assert said in str(result.exception)


def test_events_are_learned_from_and_erased_users_left_out(models: Path, tmp_path: Path) -> None:
    store = EventStore(f"sqlite:///{models / 'events.db'}")
    event = partial(Event, type="like", weight=1.0, occurred_at=100.0)
    store.append([event(f"e{n}", f"new{n % 4}", f"i{2 * n}") for n in range(12)])
    store.append([event("x", "u3", "i39"), event("hidden", "u4", "fresh item")])
    store.erase("u3")
    store.append([event("back", "u3", "i1")])
    store.put_item(ItemState("i0", metadata={"title": "Zero"}))
    store.close()
    result = retrain(two_groups(tmp_path / "old.csv", likes=8), models, "--judge-share", "0.005", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["outcome"], found["data"]["events"], found["data"]["erased_users"]) == ("published", 14, 1)
    now = Registry(models).load()
    assert now.users.find("new3") >= 0
    assert now.items.find("fresh item") >= 0
    assert now.catalogue.record(now.items.row("i0")) == {"title": "Zero"}
    assert now.data["erasures_through"] == 1
    row = now.users.row("u3")
    mine = now.seen_items[now.seen_indptr[row] : now.seen_indptr[row + 1]]
    assert [now.items[item] for item in mine] == ["i1"]  # what came after the erasure


def test_features_and_items_that_were_added_by_them_live_on(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,group\n" + "".join(f"i{row},{row // 20}\n" for row in range(40)))
    table = ("--items", str(items), "--item-kind", "group=tags")
    columns = ("--set", "features.columns=group")
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    first = retrain(
        two_groups(tmp_path / "old.csv", likes=8), tmp_path / "models", *table, *columns, *settings
    )
    assert first.exit_code == 0, first.output
    more = tmp_path / "more.csv"
    more.write_text("item_id,group\nwaiting,1\n")
    added = CliRunner().invoke(
        cli, ["items", "add", str(more), "--models", str(tmp_path / "models"), "--item-kind", "group=tags"]
    )
    assert added.exit_code == 0, added.output
    second = retrain(two_groups(tmp_path / "new.csv", likes=10), tmp_path / "models")
    assert second.exit_code == 0, second.output
    model = Registry(tmp_path / "models").load()
    assert model.placer is not None
    assert list(model.items)[-1] == "waiting"
    place = model.placer.place([{"group": ["1"]}]).vectors[0]
    assert np.allclose(model.item_vectors[-1], place)


def test_a_warm_start_takes_gentle_steps_and_the_settings_that_are_published_stay(
    models: Path, tmp_path: Path
) -> None:
    rates = {}
    for start in ("--cold", "--restart"):  # the second: warm
        data = two_groups(tmp_path / f"{start}.csv", likes=10 if start == "--cold" else 12)
        found = json.loads(retrain(data, models, start, "--gate", "1", "--json").stdout)
        assert (found["outcome"], found["warm"]) == ("published", start != "--cold")
        rates[start] = found["chosen"]["history"][0]["learning_rate"]
    assert rates["--restart"] == pytest.approx(0.1 * rates["--cold"])
    config = read_manifest(Registry(models).path(Registry(models).current())).config
    assert config["train"]["learning_rate"] == pytest.approx(rates["--cold"])
    assert config["train"]["patience"] > 3

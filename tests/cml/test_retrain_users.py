"""`cml retrain` keeps placing people by their features, from the table as it is then."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cml.cli import cli
from cml.config import DataConfig, RunConfig
from cml.data.reading import read_interactions
from cml.data.users import read_users
from cml.described import user_features_of
from cml.errors import ConfigError
from cml.events.store import EventStore
from cml.events.values import Event
from cml.registry import Registry
from cml.retraining.learning import warm_start
from cml.retraining.order import Order
from tests.cml.test_retrain_command import QUICK, retrain, two_groups


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """Which of the two groups each of 80 users is in, and one who has not come yet."""
    table = tmp_path / "users.csv"
    rows = [f"u{row},{('north', 'south')[row % 2]}\n" for row in range(80)]
    table.write_text("user_id,region\n" + "".join(rows) + "late,south\n")
    return table


@pytest.fixture
def models(tmp_path: Path, users: Path) -> Path:
    settings = [word for setting in QUICK for word in ("--set", setting)]
    columns = ("--set", "user_features.columns=region", "--set", "user_features.weight=10")
    data, registry = two_groups(tmp_path / "old.csv", likes=8), tmp_path / "models"
    first = retrain(data, registry, "--users", str(users), *columns, *settings)
    assert first.exit_code == 0, first.output
    return registry


def distances(registry: Path, region: str) -> tuple[float, float]:
    """Mean distance from where somebody new of this region is placed to the items of either group."""
    model = Registry(registry).load()
    assert model.user_placer is not None
    place = model.user_placer.place([{"region": region}]).vectors[0]
    gaps = np.linalg.norm(model.item_vectors - place, axis=1)
    first = np.array([int(item[1:]) < 20 for item in model.items])
    return float(gaps[first].mean()), float(gaps[~first].mean())


@pytest.mark.parametrize("start", [(), ("--cold",)])
def test_somebody_new_is_still_placed_among_their_kind(
    models: Path, tmp_path: Path, users: Path, start: tuple[str, ...]
) -> None:
    before = Registry(models).current()
    store = EventStore(f"sqlite:///{models / 'events.db'}")
    store.append([Event("e1", "late", "i3", "like", 1.0, 100.0)])
    store.erase("u4")
    store.close()
    second = retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--users", str(users), *start)
    assert second.exit_code == 0, second.output
    assert Registry(models).current() != before
    for region, nearer in (("north", 0), ("south", 1)):
        gaps = distances(models, region)
        assert gaps[nearer] < 0.8 * gaps[1 - nearer]
    model = Registry(models).load()
    vector = model.user_vectors[model.users.row("late")]  # of a southerner with one like, of a northern item
    gaps = np.linalg.norm(model.item_vectors - vector, axis=1)
    first = np.array([int(item[1:]) < 20 for item in model.items])
    assert gaps[~first].mean() < gaps[first].mean()
    assert model.users.find("u4") < 0
    shown = CliRunner().invoke(cli, ["models", "show", "--models", str(models)])
    assert "user_features region, weight 10" in shown.stdout


def test_a_warm_start_leaves_those_it_knows_where_they_were(
    models: Path, users: Path, tmp_path: Path
) -> None:
    current = Registry(models).load()
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("user_id,item_id\nu1,i30\nlate,i3\nu2,i3\n")
    data = read_interactions(pairs, DataConfig()).dataset
    config = RunConfig.model_validate(current.config)
    described = user_features_of(data, config, partial(read_users, users))
    rows = [data.users.row(name) for name in ("u1", "u2", "late")]
    plain, leaning = (warm_start(current, data, config, None, each).users[rows] for each in (None, described))
    torch.testing.assert_close(leaning[:2], plain[:2], rtol=0, atol=0)
    assert float((leaning[2] - plain[2]).norm()) > 0.1


def test_without_the_table_it_says_so_before_anything_is_learned(models: Path, tmp_path: Path) -> None:
    before = Registry(models).current()
    new = two_groups(tmp_path / "new.csv", likes=10)
    result = retrain(new, models)
    assert isinstance(result.exception, ConfigError)
    assert "there is none; give one with --users" in str(result.exception)
    assert Registry(models).current() == before
    without = retrain(new, models, "--set", "user_features.columns=[]")
    assert without.exit_code == 0, without.output
    assert Registry(models).load().user_placer is None


def test_an_interrupted_round_over_another_table_is_not_gone_on_with(models: Path, users: Path) -> None:
    order = Order(RunConfig(), users=users)
    was = order.identity(None)
    assert order.identity(None) == was
    users.write_text(users.read_text() + "another,north\n")
    assert order.identity(None) != was
    assert Order(RunConfig(), users=users, user_kinds={"region": "tags"}).identity(None) != order.identity(
        None
    )

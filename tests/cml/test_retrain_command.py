from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml.artifact import read_manifest
from cml.commands.retrain import command
from cml.errors import QualityGateError
from cml.registry import Registry

QUICK = (
    "epochs=15",
    "dim=8",
    "batch_size=64",
    "publish.metric=recall@10",
    "train.metric=recall@10",
    "threads=1",
)
HOPELESS = ("--set", "epochs=1", "--set", "learning_rate=1e-9", "--set", "start=random")


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


def test_the_published_model_was_fitted_on_all_but_the_judged_pairs(models: Path, tmp_path: Path) -> None:
    retrain(two_groups(tmp_path / "new.csv", likes=10), models, "--out", str(tmp_path / "run"))
    counts = read_manifest(tmp_path / "run" / "artifact").data
    assert counts["pairs"] == 80 * 9

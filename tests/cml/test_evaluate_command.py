from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cml.commands.evaluate import command
from cml.data.dataset import Dataset
from cml.errors import ArtifactError, DataError
from cml.registry import Registry
from tests.cml.worlds import model, random_pairs
from tests.reference.ranking import slow_metrics, slow_squared_distance, slow_top

N_USERS, N_ITEMS = 20, 30


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run over u0..u19 and i0..i29 whose vectors come from nowhere."""
    rng = np.random.default_rng(0)
    train = random_pairs(N_USERS, N_ITEMS, 0.15, 0)
    model(tmp_path / "run", train, rng.normal(size=(N_USERS, 3)), rng.normal(size=(N_ITEMS, 3)))
    return tmp_path / "run"


def write(path: Path, rows: list[str], header: str = "user_id,item_id") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def evaluate(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def nearest(seen: set[int], k: int) -> list[int]:
    """The list of u0, the slow way."""
    rng = np.random.default_rng(0)
    user, items = rng.normal(size=(N_USERS, 3))[0], rng.normal(size=(N_ITEMS, 3))
    return slow_top([-slow_squared_distance(user, item) for item in items], seen, k)


def items_of_u0() -> set[int]:
    train = random_pairs(N_USERS, N_ITEMS, 0.15, 0)
    return set(train.item_rows[train.user_rows == 0].tolist())


def test_the_document_has_the_promised_keys(run: Path, tmp_path: Path) -> None:
    unseen = sorted(set(range(N_ITEMS)) - items_of_u0())[:4]
    test = write(tmp_path / "test.csv", [*(f"u0,i{item}" for item in unseen), "u0,brand new", "stranger,i1"])
    found = evaluate(run, "--test", test, "--k", 10, "--k", 20)
    expected = slow_metrics(nearest(items_of_u0(), 20), set(unseen), 1, 10)
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)
    assert set(found["baselines"]) == {"popularity", "item-item"}
    assert set(found["baselines"]["popularity"]) == set(found["metrics"])
    assert found["intervals"]["recall@20"] == [found["metrics"]["recall@20"]] * 2  # one user
    assert (found["users"], found["unknown_users"], found["unknown_items"]) == (1, 1, 1)
    assert (found["held_out"], found["already_seen"], found["k"]) == (5, 0, [10, 20])
    assert found["config"]["model"] == {"radius": 1.0}
    assert found["seconds"] > 0


def test_seen_files_keep_items_out_of_the_lists(run: Path, tmp_path: Path) -> None:
    best = nearest(items_of_u0(), 5)
    test = write(tmp_path / "test.csv", [f"u0,i{best[4]}"])
    seen = [
        write(tmp_path / f"{n}.csv", [f"u0,i{item}", "stranger,i1", "u0,brand new"])
        for n, item in enumerate(best[:4])
    ]
    without = evaluate(run, "--test", test, "--k", 1)
    shown = [argument for path in seen for argument in ("--seen", path)]
    assert without["metrics"]["hit_rate@1"] == 0
    assert evaluate(run, "--test", test, *shown, "--k", 1)["metrics"]["hit_rate@1"] == 1


def test_files_are_read_as_the_run_read_its_own(tmp_path: Path) -> None:
    train = random_pairs(2, 4, 0, 0)
    points = np.arange(4, dtype=np.float32)[:, None]
    model(tmp_path / "run", train, points[:2], points, {"item_column": "film", "like_threshold": 4.0})
    test = write(tmp_path / "test.csv", ["u0,i0,5", "u0,i3,3.5", "u1,i2,2"], header="user_id,film,rating")
    found = evaluate(tmp_path / "run", "--test", test, "--k", 1)
    assert (found["users"], found["held_out"]) == (1, 1)
    assert found["metrics"]["recall@1"] == 1


def test_a_published_version_can_be_evaluated(run: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    version = registry.path(registry.publish(run / "artifact"))
    test = write(tmp_path / "test.csv", [f"u{row},i{row}" for row in range(N_USERS)])
    one, other = evaluate(run, "--test", test), evaluate(version, "--test", test)
    del one["seconds"], other["seconds"]
    assert one == other


def test_the_table_has_a_line_for_each_metric_and_a_column_for_each_model(run: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", [f"u{row},i{row}" for row in range(N_USERS)] + ["u1,new"])
    result = CliRunner().invoke(command, [str(run), "--test", str(test), "--k", "10"])
    lines = result.output.splitlines()
    assert lines[0].split() == ["metric", "model", "95", "%", "interval", "popularity", "item-item"]
    assert [line.split()[0] for line in lines[1:8]] == [
        f"{name}@10" for name in ("recall", "precision", "hit_rate", "ndcg", "map", "mrr", "coverage")
    ]
    assert "1 held-out items are unknown to the model: counted as misses" in result.output


def test_baselines_learn_from_liked_pairs_only_and_list_no_seen_ones(tmp_path: Path) -> None:
    """Item 1 was seen by all and liked by nobody, item 2 liked by one: popularity puts 2 before 1 for u3."""
    names = random_pairs(4, 4, 0, 0)
    users, items = np.array([0, 1, 2, 0, 3]), np.array([1, 1, 1, 2, 3])
    train = Dataset.from_rows(names.users, names.items, users, items, liked=items >= 2)
    model(tmp_path / "run", train, np.zeros((4, 1)), np.zeros((4, 1)))
    test = write(tmp_path / "test.csv", ["u3,i2"])
    assert evaluate(tmp_path / "run", "--test", test, "--k", 1)["baselines"]["popularity"]["recall@1"] == 1


def test_baselines_can_be_left_out(run: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", ["u0,new"])
    assert evaluate(run, "--test", test, "--no-baselines")["baselines"] == {}


def test_rejected_rows_are_named_beside_the_document(run: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", ["u0,new", ",i1"])
    result = CliRunner().invoke(command, [str(run), "--test", str(test), "--json"])
    assert json.loads(result.stdout)["held_out"] == 1
    assert f"rejected: {test}:3: " in result.stderr


def test_a_file_of_strangers_is_an_error(run: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", ["stranger,i1"])
    with pytest.raises(DataError, match="1 held-out users are unknown to the model"):
        evaluate(run, "--test", test)


def test_a_folder_without_an_artifact_is_an_error(tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", ["u0,i1"])
    with pytest.raises(ArtifactError, match="holds no artifact"):
        evaluate(tmp_path, "--test", test)


def test_a_model_read_in_a_way_unknown_here_is_refused(tmp_path: Path) -> None:
    points = np.zeros((1, 1), np.float32)
    train = Dataset.from_rows(
        random_pairs(1, 1, 0, 0).users, random_pairs(1, 1, 0, 0).items, *np.zeros((2, 1), int)
    )
    model(tmp_path / "run", train, points, points, {"colour": "red"})
    test = write(tmp_path / "test.csv", ["u0,i0"])
    with pytest.raises(ArtifactError, match=r"data\.colour = 'red'"):
        evaluate(tmp_path / "run", "--test", test)

"""`cml train --users`: a version that places people whom nobody has met yet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from cml.artifact import load
from cml.cli import cli
from tests.cml.training_worlds import two_tastes

QUICK = ("--threads", "1", "--set", "dim=8", "--set", "epochs=4", "--set", "batch_size=64")
COLUMNS = ("--user-features", "town,age")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Users of two tastes, and a table that says who likes what by the town; u0 and a stranger stand in no row."""
    folder = tmp_path_factory.mktemp("files")
    train, held_out = two_tastes()
    for name, part in (("train", train), ("test", held_out)):
        pairs = [f"u{user},i{item}\n" for user, item in zip(part.user_rows, part.item_rows, strict=True)]
        (folder / f"{name}.csv").write_text("user_id,item_id\n" + "".join(pairs))
    users = [f"u{row},{('even town', 'odd town')[row % 2]},{20 + row % 30}\n" for row in range(1, 103)]
    (folder / "users.csv").write_text("user_id,town,age\n" + "".join(users))
    return {name: folder / f"{name}.csv" for name in ("train", "test", "users")}


def train(files: dict[str, Path], out: Path, *options: str) -> Result:
    arguments = ["train", "--train", str(files["train"]), "--out", str(out), *QUICK, *options]
    return CliRunner().invoke(cli, arguments)


def towards(model, places: np.ndarray) -> list[float]:
    """Share of even items among the ten nearest to each place."""
    items = np.asarray(model.item_vectors)
    even = np.array([int(item[1:]) % 2 == 0 for item in model.items])
    nearest = ((places[:, None, :] - items) ** 2).sum(2).argsort(axis=1)[:, :10]
    return even[nearest].mean(axis=1).tolist()


@pytest.mark.parametrize("refit", [(), ("--hold-out", "--refit", "--set", "split.method=random")])
@pytest.mark.parametrize("hidden", ["[]", "[8]"])
def test_somebody_new_is_placed_among_their_kind(files, tmp_path, refit, hidden) -> None:
    settings = ("--set", f"user_features.hidden={hidden}", "--set", "user_features.passes=40")
    result = train(files, tmp_path, "--users", str(files["users"]), *COLUMNS, *refit, *settings)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "artifact")
    assert model.config["user_features"]["columns"] == ["town", "age"]
    assert model.placer is None
    assert model.user_placer is not None
    assert model.user_placer.columns == {"town": "text", "age": "numeric"}
    places = model.user_placer.place([{"town": "even", "age": 30}, {"town": "odd"}, {"town": "elsewhere"}])
    assert places.known.tolist() == [True, True, False]
    assert towards(model, places.vectors)[:2] == [1.0, 0.0]


def test_what_the_version_places_by_equals_torch_and_stays_in_the_ball(files, tmp_path) -> None:
    settings = ("--set", "user_features.hidden=[8,5]", "--set", "model.radius=0.7")
    assert train(files, tmp_path, "--users", str(files["users"]), *COLUMNS, *settings).exit_code == 0
    placer = load(tmp_path / "artifact").user_placer
    assert placer is not None
    people = [{"town": f"{('even', 'odd', 'new')[n % 3]} town", "age": n * 7} for n in range(40)]
    rows = placer.encoder.encode(people)
    hidden = torch.from_numpy(rows.dense())
    layers = placer.extractor.layers
    for number, layer in enumerate(layers):
        hidden = hidden.relu() if number else hidden
        hidden = hidden @ torch.from_numpy(np.array(layer.weight)) + torch.from_numpy(np.array(layer.bias))
    expected = torch.nn.functional.normalize(hidden) * placer.extractor.length
    got = placer.place_rows(rows).vectors
    assert len(layers) == 3
    assert float(np.ptp(got, axis=0).max()) > 0.05  # not the same place for everybody
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)
    assert np.linalg.norm(got, axis=1).max() <= 0.7 + 1e-5


def test_users_with_a_single_like_get_better_lists(files, tmp_path) -> None:
    """Half of the users keep one like, and of those half like what is for the others: features know better."""
    rows = files["train"].read_text().splitlines()[1:]
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        user, item = row.split(",")
        seen[user] = seen.get(user, 0) + 1
        few = int(user[1:]) % 4 < 2
        if few and seen[user] == 1 and int(user[1:]) % 8 < 4:
            item = f"i{int(item[1:]) ^ 1}"
        if not few or seen[user] == 1:
            kept.append(f"{user},{item}\n")
    (tmp_path / "few.csv").write_text("user_id,item_id\n" + "".join(kept))
    found, table = {}, ("--users", str(files["users"]), *COLUMNS, "--set")
    for name, weight in (("without", "0"), ("with", "3")):
        few_files = files | {"train": tmp_path / "few.csv"}
        assert train(few_files, tmp_path / name, *table, f"user_features.weight={weight}").exit_code == 0
        judged = ["evaluate", str(tmp_path / name), "--test", str(files["test"]), "--k", "10", "--json"]
        said = CliRunner().invoke(cli, judged)
        found[name] = json.loads(said.stdout)["metrics"]["recall@10"]
    assert found["with"] > found["without"] + 0.1, found


def test_a_refit_describes_users_who_come_with_the_validation_pairs(files, tmp_path) -> None:
    """u100 and u101 stand in the table; only --valid knows them, with likes of what their kind does not like."""
    (tmp_path / "valid.csv").write_text("user_id,item_id\nu1,i1\nu1,i3\nu100,i1\nu101,i0\n")
    known = ("--users", str(files["users"]), *COLUMNS, "--set", "user_features.weight=10")
    result = train(files, tmp_path, "--valid", str(tmp_path / "valid.csv"), "--refit", *known)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "artifact")
    late = np.asarray(model.user_vectors)[[model.users.row("u100"), model.users.row("u101")]]
    even, odd = towards(model, late)
    assert even > 0.7 > 0.3 > odd


def test_rows_from_a_file_place_users_without_any_table(files, tmp_path) -> None:
    ids = [f"u{row}" for row in range(100)]
    rows = np.array([[1 + row, -1] if row % 2 == 0 else [-1, 1 + row] for row in range(100)], np.float32)
    np.savez(tmp_path / "rows.npz", ids=ids, matrix=rows)
    given = f"survey={tmp_path / 'rows.npz'}"
    assert train(files, tmp_path / "run", "--user-feature-matrix", given).exit_code == 0
    model = load(tmp_path / "run" / "artifact")
    assert model.config["user_features"]["matrices"] == [given]
    assert model.user_placer is not None
    places = model.user_placer.place([{"survey": [5.0, -0.1]}, {"survey": [-0.1, 5.0]}]).vectors
    assert towards(model, places) == [1.0, 0.0]
    np.savez(tmp_path / "others.npz", ids=["x"], matrix=rows[:1])
    wrong = train(files, tmp_path / "two", "--user-feature-matrix", f"survey={tmp_path / 'others.npz'}")
    assert "none of its 1 ids is among the 100 users in question" in str(wrong.exception)


def test_features_without_a_table_and_columns_that_are_not_there_are_refused(files, tmp_path) -> None:
    without = train(files, tmp_path / "one", *COLUMNS)
    assert "columns of a user table, and there is none; give one with --users" in str(without.exception)
    table = ("--users", str(files["users"]))
    wrong = train(files, tmp_path / "two", *table, "--user-features", "city")
    assert "the user table has no column 'city', only town, age" in str(wrong.exception)
    kind = train(files, tmp_path / "three", *table, "--user-kind", "town=tag", *COLUMNS)
    assert "kind 'tag' is not one of" in str(kind.exception)


def test_a_checkpoint_of_other_user_features_is_refused(files, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cml.training.checkpoint.Checkpoint.pause", 0.0)
    monkeypatch.setattr(
        "cml.training.checkpoint.Checkpoint.remove", lambda _self: None
    )  # as if it were killed
    assert train(files, tmp_path, "--users", str(files["users"]), *COLUMNS).exit_code == 0
    assert train(files, tmp_path, "--users", str(files["users"]), *COLUMNS, "--resume").exit_code == 0
    (tmp_path / "users.csv").write_text(files["users"].read_text().replace("u2,even", "u2,odd"))
    other = train(files, tmp_path, "--users", str(tmp_path / "users.csv"), *COLUMNS, "--resume")
    assert "other data or settings" in str(other.exception)

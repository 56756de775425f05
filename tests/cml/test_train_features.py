"""`cml train --features`: a version that places what nobody has met yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml.artifact import load
from cml.commands.train import command
from tests.cml.training_worlds import two_tastes

QUICK = ("--threads", "1", "--set", "dim=8", "--set", "epochs=4", "--set", "batch_size=64")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Users of two tastes, and a table that says which item is for which; item i0 and a stranger stand in no row."""
    folder = tmp_path_factory.mktemp("files")
    train = two_tastes()[0]
    rows = zip(train.user_rows, train.item_rows, strict=True)
    pairs = [f"u{user},i{item}\n" for user, item in rows]
    (folder / "train.csv").write_text("user_id,item_id\n" + "".join(pairs))
    items = [f"i{row},{('even', 'odd')[row % 2]},{1990 + row}\n" for row in range(2, 24)]
    (folder / "items.csv").write_text("item_id,genres,year\n" + "".join(items))
    return {"train": folder / "train.csv", "items": folder / "items.csv"}


def train(files: dict[str, Path], out: Path, *options: str) -> Result:
    arguments = ["--train", str(files["train"]), "--out", str(out), *QUICK, *options]
    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize("refit", [(), ("--hold-out", "--refit", "--set", "split.method=random")])
@pytest.mark.parametrize("settings", [(), ("--set", "features.hidden=[8]", "--set", "passes=40")])
def test_a_new_item_is_placed_among_its_kind(files, tmp_path, refit, settings) -> None:
    result = train(
        files, tmp_path, "--items", str(files["items"]), "--features", "genres:categorical", *refit, *settings
    )
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "artifact")
    assert model.config["features"]["columns"] == ["genres:categorical"]
    assert model.placer is not None
    places = model.placer.place([{"genres": "even"}, {"genres": "odd"}, {"genres": "?"}])
    assert places.known.tolist() == [True, True, False]
    users = np.asarray(model.user_vectors)
    parity = np.array([int(user[1:]) % 2 for user in model.users])
    nearest = ((users[:, None, :] - places.vectors[:2]) ** 2).sum(2).argmin(1)
    assert (nearest == parity).mean() > 0.95


def test_features_without_a_table_and_columns_that_are_not_there_are_refused(files, tmp_path) -> None:
    without = train(files, tmp_path / "one", "--features", "genres")
    assert "give one with --items" in str(without.exception)
    wrong = train(files, tmp_path / "two", "--items", str(files["items"]), "--features", "genre,year")
    assert "no column 'genre', only genres, year" in str(wrong.exception)


def test_rows_from_a_file_place_items_without_any_table(files, tmp_path) -> None:
    ids = [f"i{row}" for row in range(24)]
    rows = np.array([[1 + row, -1] if row % 2 else [-1, 1 + row] for row in range(24)], np.float32)
    np.savez(tmp_path / "rows.npz", ids=ids, matrix=rows)
    result = train(files, tmp_path / "run", "--feature-matrix", f"taste={tmp_path / 'rows.npz'}")
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "run" / "artifact")
    assert model.config["features"]["matrices"] == [f"taste={tmp_path / 'rows.npz'}"]
    assert model.placer is not None
    places = model.placer.place([{"taste": [-0.1, 3.0]}, {"taste": [3.0, -0.1]}, {}])
    assert places.known.tolist() == [True, True, False]
    users = np.asarray(model.user_vectors)
    parity = np.array([int(user[1:]) % 2 for user in model.users])
    nearest = ((users[:, None, :] - places.vectors[:2]) ** 2).sum(2).argmin(1)
    assert (nearest == parity).mean() > 0.95

"""`cml train --features`: a version that places what nobody has met yet."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml.artifact import load, write
from cml.commands.evaluate import command as evaluate
from cml.commands.train import command
from cml.content import Content
from cml.features.extractor import Extractor
from cml.features.placing import Placer
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


def test_a_hashed_text_places_by_its_words(files, tmp_path) -> None:
    table = (
        "--items",
        str(files["items"]),
        "--features",
        "genres:hashed",
        "--set",
        "features.max_terms=1000",
    )
    assert train(files, tmp_path, *table).exit_code == 0
    model = load(tmp_path / "artifact")
    assert model.placer is not None
    assert model.placer.columns == {"genres": "hashed"}
    places = model.placer.place([{"genres": "an even one"}, {"genres": "Odd!"}, {"genres": "neither"}])
    assert places.known.tolist() == [True, True, False]
    users = np.asarray(model.user_vectors)
    nearest = ((users[:, None, :] - places.vectors[:2]) ** 2).sum(2).argmin(1)
    assert (nearest == [int(user[1:]) % 2 for user in model.users]).mean() > 0.95


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


def test_cold_items_are_judged_where_the_model_itself_places_them(files, tmp_path) -> None:
    """By year, which has nothing to do with the tags that the evaluation could regress on by itself."""
    years = [f"i{row},{('even', 'odd')[row % 2]},{1900 + 100 * (row % 2)}\n" for row in range(26)]
    (tmp_path / "items.csv").write_text("item_id,genres,year\n" + "".join(years))
    (tmp_path / "cold.csv").write_text(
        "user_id,item_id\n" + "".join(f"u{u},i{24 + u % 2}\n" for u in range(10))
    )
    table = (
        "--items",
        str(tmp_path / "items.csv"),
        "--item-kind",
        "genres=tags",
        "--item-kind",
        "year=number",
    )
    result = train(files, tmp_path / "run", *table, "--features", "year")
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "run" / "artifact")
    assert model.placer is not None
    backwards = replace(model.placer.extractor.layers[0], weight=-model.placer.extractor.layers[0].weight)
    wrong = Placer(model.placer.encoder, Extractor([backwards], length=model.placer.extractor.length))
    found = {}
    for name, placer in (("right", model.placer), ("wrong", wrong)):
        content = Content(**{each.name: getattr(model, each.name) for each in fields(Content)})
        write(replace(content, placer=placer), tmp_path / name / "artifact")
        judged = ("--test", str(tmp_path / "cold.csv"), "--cold-items", str(tmp_path / "items.csv"))
        said = CliRunner().invoke(
            evaluate, [str(tmp_path / name), *judged, "--item-kind", "genres=tags", "--k", "1", "--json"]
        )
        assert said.exit_code == 0, said.output
        document = json.loads(said.stdout)
        assert (set(document["cold"]), document["notes"]) == ({"random", "tf-idf", "placed"}, [])
        found[name] = document["cold"]["placed"]["metrics"]["recall@1"]
    assert found == {"right": 1.0, "wrong": 0.0}


def test_features_that_say_more_than_tags_are_a_baseline_beside_them(files, tmp_path) -> None:
    """Tags that mean nothing, titles that tell the taste: tf-idf sees the first, the cosine the second."""
    kinds = ("Even", "Odd")
    rows = [f"i{row},{kinds[row % 2]} {row},{('x', 'y')[row // 2 % 2]}\n" for row in range(26)]
    (tmp_path / "items.csv").write_text("item_id,title,genres\n" + "".join(rows))
    liked = "".join(f"u{u},i{24 + u % 2}\n" for u in range(10))
    (tmp_path / "cold.csv").write_text("user_id,item_id\n" + liked)
    table = ("--items", str(tmp_path / "items.csv"), "--features", "title")
    assert train(files, tmp_path / "run", *table).exit_code == 0
    asked = ("--test", str(tmp_path / "cold.csv"), "--cold-items", str(tmp_path / "items.csv"), "--k", "1")
    said = CliRunner().invoke(evaluate, [str(tmp_path / "run"), *asked, "--json"], catch_exceptions=False)
    found = json.loads(said.stdout)
    assert found["notes"] == ["cosine, of the model's own title"]
    recalls = {name: each["metrics"]["recall@1"] for name, each in found["cold"].items()}
    assert (recalls["tf-idf"], recalls["cosine"], recalls["placed"]) == (0.5, 1.0, 1.0)


def test_a_checkpoint_of_other_features_is_refused(files, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cml.training.checkpoint.Checkpoint.pause", 0.0)
    monkeypatch.setattr(
        "cml.training.checkpoint.Checkpoint.remove", lambda _self: None
    )  # as if it were killed
    options = ("--items", str(files["items"]), "--features", "genres")
    assert train(files, tmp_path, *options).exit_code == 0
    assert train(files, tmp_path, *options, "--resume").exit_code == 0
    changed = files["items"].read_text().replace("i2,even", "i2,odd")
    (tmp_path / "items.csv").write_text(changed)
    other = train(files, tmp_path, "--items", str(tmp_path / "items.csv"), "--features", "genres", "--resume")
    assert "other data or settings" in str(other.exception)


@pytest.mark.parametrize("by", ["rows", "year"])
def test_a_model_of_features_without_tags_is_judged_beside_what_they_allow(files, tmp_path, by) -> None:
    """Rows of numbers have a cosine, which stands for tf-idf; numbers alone have none, and that is said."""
    ids = [f"i{row}" for row in range(27)]
    rows = np.array([[0.2, 1] if row % 2 else [1, 0.2] for row in range(26)], np.float32)
    np.savez(tmp_path / "rows.npz", ids=ids[:26], matrix=rows)  # i26 has no row
    (tmp_path / "items.csv").write_text(
        "item_id,year\n" + "".join(f"{each},{1900 + 100 * (row % 2)}\n" for row, each in enumerate(ids[:26]))
    )
    liked = [f"u{u},i{24 + u % 2}\n" for u in range(10)] + ["u10,i26\n"]
    (tmp_path / "cold.csv").write_text("user_id,item_id\n" + "".join(liked))
    features = {
        "rows": ("--feature-matrix", f"taste={tmp_path / 'rows.npz'}"),
        "year": ("--items", str(tmp_path / "items.csv"), "--features", "year"),
    }
    assert train(files, tmp_path / "run", *features[by]).exit_code == 0
    asked = ("--test", str(tmp_path / "cold.csv"), "--cold-items", str(tmp_path / "items.csv"), "--k", "1")
    said = CliRunner().invoke(evaluate, [str(tmp_path / "run"), *asked, "--json"], catch_exceptions=False)
    found = json.loads(said.stdout)
    assert found["without_features"] == 1
    assert found["cold"]["placed"]["metrics"]["recall@1"] == pytest.approx(10 / 11)
    if by == "rows":
        assert set(found["cold"]) == {"random", "cosine", "placed"}
        assert found["cold"]["cosine"]["metrics"]["recall@1"] == pytest.approx(10 / 11)
        assert found["notes"] == [
            "cosine, of the model's own taste, stands for tf-idf: the item table has no column of tags"
        ]
    else:
        assert set(found["cold"]) == {"random", "placed"}
        assert "numbers alone" in found["notes"][0]
    text = CliRunner().invoke(evaluate, [str(tmp_path / "run"), *asked]).stdout
    assert f"note: {found['notes'][0]}" in text

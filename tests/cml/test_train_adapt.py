"""`cml train --adapt`: a version that places the items of another catalogue, and says how far away they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cml.adapted import diagnosed
from cml.artifact import Artifact, load
from cml.commands.train import command
from cml.data.items import read_others
from cml.errors import DataError
from cml.vocabulary import Vocabulary
from tests.cml.training_worlds import two_tastes

QUICK = ("--threads", "1", "--set", "dim=8", "--set", "epochs=4", "--set", "batch_size=64")
ADAPT = ("--set", "adaptation_steps=30", "--features", "tags", "--item-kind", "tags=tags")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Users of two tastes; the target's items have the same tags beside one of their own, and i2 stands in both."""
    folder = tmp_path_factory.mktemp("files")
    train = two_tastes()[0]
    pairs = [f"u{user},i{item}\n" for user, item in zip(train.user_rows, train.item_rows, strict=True)]
    (folder / "train.csv").write_text("user_id,item_id\n" + "".join(pairs))
    items = [f"i{row},{('even', 'odd')[row % 2]}|here\n" for row in range(24)]
    (folder / "items.csv").write_text("item_id,tags\n" + "".join(items))
    others = [f"t{row},{('even', 'odd')[row % 2]}|there\n" for row in range(20)]
    (folder / "others.csv").write_text("item_id,tags\ni2,even|here\n" + "".join(others))
    return {name: folder / f"{name}.csv" for name in ("train", "items", "others")}


def train(files: dict[str, Path], out: Path, *options: str) -> Result:
    arguments = ["--train", str(files["train"]), "--out", str(out), *QUICK, *options]
    return CliRunner().invoke(command, arguments)


def looked_at(model: Artifact) -> dict[str, float]:
    """What `cml train` says after adapting: the two catalogues as this model places them."""
    assert model.placer is not None
    catalogues = (model.items, "here"), (sorted(f"t{row}" for row in range(20)), "there")
    source, target = (
        model.placer.encoder.encode(
            [{"tags": f"{('even', 'odd')[int(item[1:]) % 2]}|{where}"} for item in items]
        )
        for items, where in catalogues
    )
    return diagnosed(model.placer, source, target).as_dict()


@pytest.mark.parametrize("alignment", ["wdgrl", "coral", "none"])
def test_items_of_another_catalogue_are_placed_among_their_kind(files, tmp_path, alignment) -> None:
    given = ("--items", str(files["items"]), "--adapt", str(files["others"]), *ADAPT)
    result = train(files, tmp_path, *given, "--set", f"alignment={alignment}", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["adaptation"]
    assert told == json.loads((tmp_path / "adaptation.json").read_text())
    assert set(told["before"]) == {"a_distance", "sliced", "spread", "overlap", "critic_gap"}
    model = load(tmp_path / "artifact")
    assert model.config["features"]["alignment"] == alignment
    assert model.placer is not None
    places = model.placer.place([{"tags": "even|there"}, {"tags": "odd|there"}]).vectors
    users = np.asarray(model.user_vectors)
    nearest = ((users[:, None, :] - places) ** 2).sum(2).argmin(1)
    assert (nearest == [int(user[1:]) % 2 for user in model.users]).mean() > 0.95
    assert looked_at(model) == told["after"] != told["before"]
    again = train(files, tmp_path / "again", *given, "--set", f"alignment={alignment}")
    assert "adapted" in again.output
    other = load(tmp_path / "again" / "artifact").placer
    assert other is not None
    np.testing.assert_array_equal(other.extractor.layers[0].weight, model.placer.extractor.layers[0].weight)


def test_both_catalogues_are_drawn_before_and_after(files, tmp_path) -> None:
    given = ("--items", str(files["items"]), "--adapt", str(files["others"]), *ADAPT)
    drawn = train(files, tmp_path / "run", *given, "--adapt-plot", str(tmp_path / "both.png"))
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    other = train(files, tmp_path / "two", *given, "--adapt-plot", str(tmp_path / "both.jpg"))
    assert "pictures are written as png, svg, pdf" in str(other.exception)
    alone = train(files, tmp_path / "two", "--adapt-plot", str(tmp_path / "both.png"))
    assert alone.exit_code == 2
    assert not (tmp_path / "two").exists()


def test_a_target_without_features_or_without_items_of_its_own_is_refused(files, tmp_path) -> None:
    without = train(files, tmp_path / "one", "--items", str(files["items"]), "--adapt", str(files["others"]))
    assert "name them with --features" in str(without.exception)
    same = ("--items", str(files["items"]), "--adapt", str(files["items"]), *ADAPT)
    assert "a target catalogue holds other items" in str(train(files, tmp_path / "two", *same).exception)
    (tmp_path / "empty.csv").write_text("item_id,tags\n,x\n")
    with pytest.raises(DataError, match="no row has a usable item id"):
        read_others(tmp_path / "empty.csv", Vocabulary(()))


def test_the_targets_items_that_training_knows_are_left_out(files) -> None:
    found = read_others(files["others"], Vocabulary(["i2"]), kinds={"tags": "tags"})
    assert found.n_items == 20
    assert found.record(0)["tags"] == ["even", "there"]

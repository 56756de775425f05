"""A second catalogue on its way: an adapted placer, `cml items add`, `cml serve`, and its items in the right lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cml.registry import Registry
from tests.cml.training_worlds import two_tastes
from tests.end_to_end.commands import document, text
from tests.end_to_end.servers import server

KINDS = ("--item-kind", "tags=tags")
QUICK = ("dim=8", "epochs=4", "batch_size=64", "adaptation_steps=30", "threads=1")
N_SOURCE, N_TARGET = 24, 20


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published: users of two tastes, even and odd, and a placer adapted to a catalogue with a tag of its own."""
    folder = tmp_path_factory.mktemp("adapted")
    train = two_tastes(items=N_SOURCE)[0]
    pairs = [f"u{user},i{item}\n" for user, item in zip(train.user_rows, train.item_rows, strict=True)]
    (folder / "train.csv").write_text("user_id,item_id\n" + "".join(pairs))
    for name, letter, n, where in (("items", "i", N_SOURCE, "here"), ("others", "t", N_TARGET, "there")):
        rows = [f"{letter}{row},{letter} {row},{('even', 'odd')[row % 2]}|{where}\n" for row in range(n)]
        (folder / f"{name}.csv").write_text("item_id,title,tags\n" + "".join(rows))
    settings = [word for each in QUICK for word in ("--set", each)]
    tables = ("--items", "items.csv", "--features", "tags", "--adapt", "others.csv", *KINDS)
    assert "adapted" in text("train", "--train", "train.csv", *tables, *settings, "--out", "run", cwd=folder)
    text("models", "publish", "run", "--to", "models", cwd=folder)
    return folder


def test_the_target_catalogue_is_recommended_after_it_was_added_without_training(folder: Path) -> None:
    before = Registry(folder / "models").load()
    added = document("items", "add", "others.csv", "--models", "models", *KINDS, cwd=folder)
    assert (added["added"], added["known"], added["without_features"]) == (N_TARGET, 0, 0)
    after = Registry(folder / "models").load()
    np.testing.assert_array_equal(after.user_vectors, before.user_vectors)
    np.testing.assert_array_equal(after.item_vectors[:N_SOURCE], before.item_vectors)
    assert before.placer is not None
    places = before.placer.place([{"tags": f"{('even', 'odd')[row % 2]}|there"} for row in range(N_TARGET)])
    np.testing.assert_array_equal(after.item_vectors[N_SOURCE:], places.vectors)
    with server(folder / "models", program=("cml", "serve")) as running:
        assert running.get("/v1/model").json()["version"] == added["version"]
        for user in range(6):  # whose taste has 4 items that they do not know, and 10 of the target
            answer = running.get(f"/v1/users/u{user}/recommendations", params={"k": 14}).json()
            listed = [item["item_id"] for item in answer["items"]]
            assert (answer["strategy"], answer["model_version"]) == ("personal", added["version"])
            assert {item_id for item_id in listed if item_id[0] == "t"} == {
                f"t{row}" for row in range(user % 2, N_TARGET, 2)
            }
        of_target = running.get("/v1/items/t1/similar", params={"k": 20}).json()["items"]
        assert {int(item["item_id"][1:]) % 2 for item in of_target} == {1}
        of_source = running.get("/v1/items/i0/similar", params={"k": 21}).json()["items"]
        assert {f"t{row}" for row in range(0, N_TARGET, 2)} <= {item["item_id"] for item in of_source}
        assert next(item for item in of_source if item["item_id"] == "t4")["title"] == "t 4"

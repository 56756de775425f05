"""Items that come with rows of a feature matrix: placed by them, and keeping them through every retraining."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cml.cli import cli
from cml.errors import CmlError, ConfigError, DataError
from cml.events.store import EventStore
from cml.events.values import Event, ItemState
from cml.registry import Registry
from tests.cml.test_retrain_command import QUICK, two_groups

EVEN, ODD = [1.0, 0.1, 0.0], [0.1, 1.0, 0.0]
TABLE = "item_id,title\nnew0,Zero\nnew1,One\nbare,Bare\n"


def cml(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry whose version places items by a matrix alone: one direction for each of two groups of users."""
    rows = [ODD if item >= 20 else EVEN for item in range(40)]
    np.savez(tmp_path / "covers.npz", ids=[f"i{item}" for item in range(40)], matrix=rows)
    data = two_groups(tmp_path / "old.csv", likes=8)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    matrix = ("--feature-matrix", f"cover={tmp_path / 'covers.npz'}")
    cml("train", "--train", data, *matrix, *settings, "--out", tmp_path / "run")
    cml("models", "publish", tmp_path / "run", "--to", tmp_path / "models")
    np.savez(tmp_path / "new.npz", ids=["new1", "new0", "stranger"], matrix=[ODD, EVEN, EVEN])
    (tmp_path / "more.csv").write_text(TABLE)
    return tmp_path


def add(folder: Path, *options: object) -> str:
    return cml("items", "add", folder / "more.csv", "--models", folder / "models", *options)


def with_rows(folder: Path, name: str = "new.npz") -> tuple[str, str]:
    return "--feature-matrix", f"cover={folder / name}"


def place(folder: Path, item_id: str) -> np.ndarray:
    model = Registry(folder / "models").load()
    return np.asarray(model.item_vectors[model.items.row(item_id)])


def expected(folder: Path, row: list[float]) -> np.ndarray:
    """Where the current version's extractor puts a row."""
    placer = Registry(folder / "models").load().placer
    assert placer is not None
    return placer.place([{"cover": row}]).vectors[0]


def test_rows_from_a_file_place_items_of_the_table(folder: Path) -> None:
    report = json.loads(add(folder, *with_rows(folder), "--json"))
    assert (report["added"], report["first_without_features"]) == (2, ["bare"])
    assert report["matrices_not_given"] == []
    assert place(folder, "new0") == pytest.approx(expected(folder, EVEN))
    assert place(folder, "new1") == pytest.approx(expected(folder, ODD))
    assert not np.allclose(expected(folder, ODD), expected(folder, EVEN), atol=0.1)


def test_the_matrix_that_is_missing_is_asked_for_by_name(folder: Path) -> None:
    wanted = r"not given: the feature matrix cover \(--feature-matrix cover=FILE\)"
    with pytest.raises(DataError, match=rf"3 without a feature that counts \(new0, new1, bare\); {wanted}"):
        add(folder)


@pytest.mark.parametrize(
    ("word", "error", "said"),
    [
        ("covers=new.npz", ConfigError, "'covers': the version does not know it, only cover"),
        ("cover=narrow.npz", DataError, "rows of 2 numbers, the matrix 'cover' of training has 3 columns"),
        ("cover=covers.npz", DataError, "none of its 40 ids is among the 3 items in question"),
        ("new.npz", ConfigError, "expected NAME=FILE"),
    ],
)
def test_matrices_that_do_not_fit_add_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, word: str, error: type[CmlError], said: str
) -> None:
    monkeypatch.chdir(folder)
    np.savez(folder / "narrow.npz", ids=["new0"], matrix=[[1.0, 2.0]])
    before = Registry(folder / "models").versions()
    with pytest.raises(error, match=said):
        add(folder, "--feature-matrix", word)
    assert Registry(folder / "models").versions() == before


def test_other_metadata_moves_no_item_and_another_row_does(folder: Path) -> None:
    add(folder, *with_rows(folder))
    (folder / "more.csv").write_text("item_id,title\nnew1,Renamed\n")
    add(folder, "--update")
    assert place(folder, "new1") == pytest.approx(expected(folder, ODD))
    np.savez(folder / "other.npz", ids=["new1"], matrix=[EVEN])
    add(folder, "--update", *with_rows(folder, "other.npz"))
    assert place(folder, "new1") == pytest.approx(expected(folder, EVEN))


def retrain(folder: Path, *options: object) -> None:
    data = two_groups(folder / "new.csv", likes=10)
    cml("retrain", "--train", data, "--models", folder / "models", "--set", "publish.tolerance=1", *options)


def liked_by_evens(folder: Path, item_id: str) -> None:
    """Events of users of the even group about an item; their times are later than those of the files."""
    with closing(EventStore(f"sqlite:///{folder / 'models' / 'events.db'}")) as store:
        store.append([Event(f"{item_id} {u}", f"u{u}", item_id, "like", 1.0, 1e9) for u in range(0, 8, 2)])


def test_items_that_nobody_has_liked_keep_their_rows_at_every_retraining(folder: Path) -> None:
    add(folder, *with_rows(folder))
    for _ in range(2):
        retrain(folder, "--force")
        assert place(folder, "new0") == pytest.approx(expected(folder, EVEN))
        assert place(folder, "new1") == pytest.approx(expected(folder, ODD))
    with closing(EventStore(f"sqlite:///{folder / 'models' / 'events.db'}")) as store:
        store.put_item(ItemState("new1", features={"cover": EVEN}))
    retrain(folder, "--force")
    assert place(folder, "new1") == pytest.approx(expected(folder, EVEN))


@pytest.mark.parametrize("by", ["file", "request"])
def test_items_that_came_with_a_row_are_trained_with_it(folder: Path, by: str) -> None:
    """Features outweigh likes by far, and say the opposite of them: the vector shows whether they were there."""
    if by == "file":
        add(folder, *with_rows(folder))
    else:
        with closing(EventStore(f"sqlite:///{folder / 'models' / 'events.db'}")) as store:
            store.put_item(ItemState("new1", metadata={"title": "One"}, features={"cover": ODD}))
    liked_by_evens(folder, "new1")
    for _ in range(2):
        retrain(folder, "--force", "--set", "features.weight=1000")
        model = Registry(folder / "models").load()
        assert model.popularity[model.items.row("new1")] == 4
        towards_odd, towards_even = (
            np.linalg.norm(place(folder, "new1") - expected(folder, row)) for row in (ODD, EVEN)
        )
        assert towards_odd < towards_even / 3

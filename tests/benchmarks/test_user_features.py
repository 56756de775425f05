"""The benchmark of user features on a world where the town says what somebody likes."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.user_features import main, shuffled
from tests.cml.training_worlds import two_tastes

FAST = ("--set", "dim=8", "--set", "epochs=2", "--set", "batch_size=64", "--seeds", "1", "--warm-seeds", "1")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    train = two_tastes(items=240, known=20)[0]
    pairs = zip(train.user_rows, train.item_rows, strict=True)
    tables = {
        "interactions": "user_id,item_id\n" + "".join(f"u{user},i{item}\n" for user, item in pairs),
        "users": "user_id,town\n" + "".join(f"u{row},{('north', 'south')[row % 2]}\n" for row in range(100)),
    }
    (tmp_path / "world").mkdir()
    for name, text in tables.items():
        (tmp_path / "world" / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path / "world"


def measured(world: Path, kind: str, *options: str) -> dict[str, Any]:
    out = world.parent / "results"
    given = ("--data", str(world), "--features", "town", "--only", kind, "--results", str(out))
    main([*given, *FAST, *options])
    (file,) = out.iterdir()
    return json.loads(file.read_text())[kind][0]


@pytest.mark.slow
def test_features_find_what_popularity_cannot_and_their_place_is_no_likes_place(world: Path) -> None:
    found = measured(world, "strangers")
    assert (found["users"], found["described"]) == (20, 20)
    alone = {name: row["recall@50"] for name, row in found["0 likes"].items()}
    assert alone["features"] > alone["popularity"] + 0.1
    assert alone["features"] > alone["nothing known"] + 0.1
    assert found["0 likes"]["features"]["gap"]["recall@50"][1] > 0
    assert set(found["1 likes"]) == {
        "popularity",
        "likes",
        "likes and features, weight 1",
        "likes and nothing known",
    }
    assert found["10 likes"]["likes"]["gap"]["recall@50"] == [0, 0, 0]


@pytest.mark.slow
def test_pairs_of_users_are_judged_by_how_much_they_liked(world: Path) -> None:
    found = measured(world, "sparse")
    assert found["everybody"]["users"] == 100
    assert found["1 to 9 likes"]["users"] == 100  # a fifth of twelve training pairs
    assert found["30 or more"] is None


def test_shuffling_deals_the_rows_out_to_other_users(world: Path, tmp_path: Path) -> None:
    dealt = shuffled(world / "users.csv.gz", tmp_path / "dealt.csv.gz")
    files = (world / "users.csv.gz", dealt)
    read = [dict(csv.reader(gzip.decompress(file.read_bytes()).decode().splitlines())) for file in files]
    assert read[0].keys() == read[1].keys()
    assert sorted(read[0].values()) == sorted(read[1].values())
    moved = sum(read[0][user] != read[1][user] for user in read[0])
    assert 30 < moved < 70

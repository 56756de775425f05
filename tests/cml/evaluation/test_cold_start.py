from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_array

from cml.commands.data import command as data
from cml.commands.evaluate import command as evaluate
from cml.data.cold_split import latest_items, random_items, split_items
from cml.data.dataset import Dataset
from cml.errors import DataError
from cml.evaluation.cold_start import place, tfidf_rows
from tests.cml.worlds import model, random_pairs, vocabulary


def test_no_pair_of_a_cold_item_is_learned_from() -> None:
    pairs = random_pairs(20, 30, 0.3, 0)
    cold = random_items(30, 0.2, np.random.default_rng(1))
    parts = split_items(pairs, cold)
    assert cold.sum() == 6
    assert not cold[parts.train.item_rows].any()
    assert cold[parts.held_out.item_rows].all()
    assert len(parts.train) + len(parts.held_out) == len(pairs)
    with pytest.raises(DataError, match="no liked pair in the training part"):
        split_items(pairs, np.ones(30, dtype=bool))


def test_latest_items_go_by_their_first_pair() -> None:
    times = [1.0, 9.0, 5.0, 6.0]
    pairs = Dataset.from_rows(
        vocabulary("u", 2), vocabulary("i", 3), [0, 1, 0, 1], [0, 0, 1, 2], timestamps=np.array(times)
    )
    assert latest_items(pairs, 1 / 3).tolist() == [False, False, True]


def test_places_equal_the_primal_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    tags = csr_array(rng.random((12, 5)) < 0.4)
    warm = np.arange(9)
    rows = tfidf_rows(tags, np.arange(12) < 9)
    vectors = rng.normal(size=(9, 3))
    x, mean = rows.toarray().astype(float), vectors.mean(axis=0)
    slopes = np.linalg.solve(x[:9].T @ x[:9] + 0.7 * np.eye(x.shape[1]), x[:9].T @ (vectors - mean))
    expected = mean + x @ slopes
    expected *= np.linalg.norm(vectors, axis=1).mean() / np.linalg.norm(expected, axis=1, keepdims=True)
    assert place(rows, warm, vectors, penalty=0.7) == pytest.approx(expected, abs=1e-4)


def test_the_commands_place_a_cold_item_near_those_of_its_tag(tmp_path: Path) -> None:
    rows = [f"u{u},i{i}" for u in range(8) for i in range(12) if u % 2 == i % 2]
    (tmp_path / "all.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    table = tmp_path / "items.csv"
    tags = [f"i{i},{'odd|x' if i % 2 else 'even|x'},{i // 10}" for i in range(12)]
    table.write_text("\n".join(["item_id,genres,late", *tags]) + "\n")
    where = ["--where", '{"late": {"min": 1}}', "--items", str(table)]
    made = CliRunner().invoke(
        data,
        ["split", str(tmp_path / "all.csv"), *where, "--item-kind", "genres=tags", "--out", str(tmp_path)],
    )
    assert made.exit_code == 0, made.output
    train = Dataset.from_rows(
        vocabulary("u", 8),
        vocabulary("i", 10),
        *np.array([(u, i) for u in range(8) for i in range(10) if u % 2 == i % 2]).T,
    )
    sides = np.eye(2)
    model(tmp_path / "run", train, sides[np.arange(8) % 2], sides[np.arange(10) % 2])
    asked = [str(tmp_path / "run"), "--test", str(tmp_path / "cold.csv"), "--cold-items", str(table)]
    found = CliRunner().invoke(
        evaluate, [*asked, "--item-kind", "genres=tags", "--k", "1", "--json"], catch_exceptions=False
    )
    document = json.loads(found.stdout)
    assert (document["cold_items"], document["users"]) == (2, 8)
    assert set(document["all"]) == {"random", "popularity", "tf-idf", "placed"}
    assert set(document["cold"]) == {"random", "tf-idf", "placed"}
    for name in ("tf-idf", "placed"):
        assert document["cold"][name]["metrics"]["recall@1"] == 1.0

"""Users whom training never saw, placed from their items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fold_in import held_out_users, learned, main
from cml.config import load_config
from tests.benchmarks.worlds import ITEMS, USERS, tiny_parts, write_interactions

QUICK = ("dim=4", "epochs=3", "threads=1")


def test_held_out_users_are_a_share_of_all(tmp_path: Path) -> None:
    users = held_out_users(tiny_parts(tmp_path).train, 0.25, np.random.default_rng(0))
    assert len(users) == USERS / 4
    assert (np.diff(users) > 0).all()


def test_what_held_out_users_like_teaches_a_model_without_them_nothing(tmp_path: Path) -> None:
    """With every second user held out, the items of their group are where the start leaves what nobody likes."""
    parts = tiny_parts(tmp_path)
    rows = np.flatnonzero([int(user[1:]) % 2 for user in parts.train.users])
    others = parts.train.take(~np.isin(parts.train.user_rows, rows))
    space = learned(others, parts.valid, load_config(overrides=QUICK)).space
    foreign = [row for row, item in enumerate(parts.train.items) if int(item[1:]) >= ITEMS // 2]
    assert len(space.items) == parts.train.n_items
    spread = space.items[foreign].std(0).max()
    assert spread < space.items.std(0).max() / 2


def test_the_record_holds_both_kinds_of_lists_for_the_same_users(tmp_path: Path) -> None:
    directory = write_interactions(tmp_path / "tiny")
    settings = [word for setting in QUICK for word in ("--set", setting)]
    main(["--data", str(directory), "--share", "0.25", "--seeds", "2", *settings, "--results", str(tmp_path)])
    found = json.loads((tmp_path / "fold-in-tiny.json").read_text())
    assert [row["users"] for row in found["seeds"]] == [6, 6]
    for row in found["seeds"]:
        assert 0.4 < row["folded_in"]["ndcg@10"] < 1
        assert row["ratio"]["ndcg@10"] == pytest.approx(
            row["folded_in"]["ndcg@10"] / row["trained"]["ndcg@10"], abs=1e-3
        )
    for few in (found["few"], found["seeds"][1]["few"]):
        assert list(few) == ["1", "2", "3", "5", "10"]
        assert all(0 <= few[n][kind]["recall@50"] <= 1 for n in few for kind in ("mean user", "none"))
        assert few["1"]["mean user"] != few["1"]["none"]

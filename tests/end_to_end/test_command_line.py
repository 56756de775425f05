"""From files to recommendations and back through the real commands, on a world whose right answers are known."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from subprocess import run as start
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.commands import complaint, document, run, text

pytestmark = pytest.mark.slow

N_USERS, N_ITEMS = 40, 20
SETTINGS = ["dim=4", "epochs=40", "batch_size=32"]
LEARN = [argument for setting in SETTINGS for argument in ("--set", setting)] + ["--threads", "1"]


@dataclass(frozen=True)
class Files:
    """Even users like even items, odd users odd ones."""

    train: Path
    valid: Path
    test: Path
    everything: Path
    items: Path


def write_pairs(path: Path, pairs: list[tuple[int, int]]) -> Path:
    """One row a pair, later ones later."""
    rows = [f"u{user},i{item},{1_600_000_000 + number}" for number, (user, item) in enumerate(pairs)]
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n", encoding="utf-8")
    return path


def taste(item_id: str) -> int:
    return int(item_id[1:]) % 2


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    liked = [(user, rng.permutation(np.arange(user % 2, N_ITEMS, 2))) for user in range(N_USERS)]
    test, valid = ([(user, own[at]) for user, own in liked] for at in (0, 1))
    train = [(user, item) for user, own in liked for item in own[2:7]]
    names = [f"i{item},The i{item},{'odd' if item % 2 else 'even'}" for item in range(N_ITEMS)]
    items = folder / "items.csv"
    items.write_text("\n".join(["item_id,title,tags", *names]) + "\n", encoding="utf-8")
    return Files(
        train=write_pairs(folder / "train.csv", train),
        valid=write_pairs(folder / "valid.csv", valid),
        test=write_pairs(folder / "test.csv", test),
        everything=write_pairs(folder / "everything.csv", train + valid + test),
        items=items,
    )


@dataclass(frozen=True)
class Run:
    directory: Path
    said: dict[str, Any]


@pytest.fixture(scope="module")
def trained(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "first"
    data = ["--train", files.train, "--valid", files.valid, "--items", files.items]
    return Run(out, document("train", *data, "--out", out, *LEARN))


@pytest.fixture(scope="module")
def models(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = tmp_path_factory.mktemp("registry") / "models"
    said = document("models", "publish", trained.directory, "--to", registry)
    assert said["version"] == said["current"]
    return registry


def listed(said: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in said["items"]]


def test_training_says_what_came_of_it(trained: Run) -> None:
    said = trained.said
    assert said["run"] == str(trained.directory)
    assert (said["users"], said["items"]) == (N_USERS, N_ITEMS)
    assert said["stopped"] in ("done", "early")
    assert 1 <= said["best_epoch"] <= said["epochs"] <= 40
    assert said["metrics"]["recall@10"] > 0.9
    assert said["config"]["model"]["dim"] == 4
    assert (trained.directory / "artifact" / "manifest.json").is_file()
    history = (trained.directory / "history.csv").read_text(encoding="utf-8").splitlines()
    assert len(history) == said["epochs"] + 1


def test_evaluation_finds_the_items_that_were_held_out(trained: Run, files: Files) -> None:
    said = document(
        "evaluate", trained.directory, "--test", files.test, "--seen", files.valid, "--k", 4, "--k", 10
    )
    assert said["users"] == N_USERS
    assert said["metrics"]["hit_rate@4"] > 0.9  # chance: 4 of the 14 items that are neither known nor seen
    assert said["metrics"]["recall@10"] >= said["metrics"]["recall@4"]
    assert set(said["baselines"]) == {"popularity", "item-item"}
    assert said["baselines"]["popularity"]["hit_rate@4"] < 0.7
    assert said["config"] == trained.said["config"]
    assert said["seconds"] > 0


def test_the_same_seed_learns_the_same_vectors(trained: Run, files: Files, tmp_path: Path) -> None:
    data = ["--train", files.train, "--valid", files.valid, "--items", files.items]
    text("train", *data, "--out", tmp_path / "same", *LEARN)
    first, same = (
        (directory / "artifact" / "vectors.safetensors").read_bytes()
        for directory in (trained.directory, tmp_path / "same")
    )
    assert first == same


def test_a_published_version_is_listed_shown_and_intact(models: Path) -> None:
    said = document("models", "list", "--models", models)
    first = said["versions"][0]["version"]
    assert first.startswith("000001-")
    shown = document("models", "show", first, "--models", models)
    assert shown["counts"]["users"] == N_USERS
    assert "intact" in text("models", "verify", "--models", models)


def test_users_are_recommended_what_their_kind_likes(models: Path) -> None:
    for user, own in (("u0", 0), ("u1", 1)):
        said = document("recommend", user, "-k", 4, "--models", models)
        assert said["strategy"] == "personal"
        assert {taste(item) for item in listed(said)} == {own}
        assert [item["distance"] for item in said["items"]] == sorted(
            item["distance"] for item in said["items"]
        )
        assert {taste(reason["item_id"]) for item in said["items"] for reason in item["because"]} == {own}


def test_people_read_titles_distances_and_reasons(models: Path) -> None:
    printed = text("recommend", "u0", "-k", 2, "--models", models)
    assert "The i" in printed
    assert "because of The i" in printed
    assert "personal" in printed


def test_strangers_get_popular_items_and_are_told_so(models: Path) -> None:
    said = document("recommend", "nobody", "-k", 3, "--models", models)
    assert said["strategy"] == "popular"
    assert len(said["items"]) == 3


def test_filters_hold(models: Path) -> None:
    said = document("recommend", "u0", "-k", 3, "--where", '{"tags": "odd"}', "--models", models)
    assert {taste(item) for item in listed(said)} == {1}


def test_similar_items_are_of_the_same_kind(models: Path) -> None:
    said = document("similar", "i3", "-k", 4, "--models", models)
    assert said["strategy"] == "similar"
    assert {taste(item) for item in listed(said)} == {1}
    assert "i3" not in listed(said)


def test_retraining_publishes_what_is_not_worse(models: Path, files: Files) -> None:
    before = document("models", "list", "--models", models)["current"]
    said = document("retrain", "--train", files.everything, "--items", files.items, "--models", models)
    assert said["published"]
    assert said["before"] == before
    assert document("models", "list", "--models", models)["current"] == said["version"] != before
    assert document("models", "rollback", "--models", models) == {
        "version": before,
        "before": said["version"],
    }


def test_retraining_refuses_what_is_worse_and_changes_nothing(models: Path, files: Files) -> None:
    before = document("models", "list", "--models", models)
    useless = ["--cold", "--set", "start=random", "--set", "epochs=1", "--set", "learning_rate=1e-6"]
    done = run("retrain", "--train", files.everything, "--models", models, *useless, "--threads", 1)
    assert "not published" in complaint(done, code=3)
    assert document("models", "list", "--models", models) == before


def test_a_flipped_byte_is_found_and_named(trained: Run, tmp_path: Path) -> None:
    version = document("models", "publish", trained.directory, "--to", tmp_path)["version"]
    damaged = tmp_path / "versions" / version / "vectors.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    done = run("models", "verify", "--models", tmp_path)
    assert done.returncode == 1
    assert "vectors.safetensors" in done.stdout
    assert "vectors.safetensors" in complaint(run("recommend", "u0", "--models", tmp_path))


MISTAKES = {
    "a missing file": (["train", "--train", "nothing.csv", "--out", "run"], "nothing.csv"),
    "an unknown setting": (["train", "--train", "t.csv", "--out", "run", "--set", "colour=red"], "'colour'"),
    "an impossible value": (
        ["train", "--train", "t.csv", "--out", "run", "--set", "dim=-1"],
        "model.dim = -1",
    ),
    "an impossible metric": (
        ["train", "--train", "t.csv", "--valid", "t.csv", "--out", "run", "--set", "train.metric=luck@10"],
        "luck@10",
    ),
    "a row without a user": (["train", "--train", "bad.csv", "--strict", "--out", "run"], "bad.csv:3"),
    "an empty registry": (["recommend", "u0", "--models", "models"], "cml models publish"),
    "no registry to serve": (["serve", "--models", "models"], "models"),
    "an unknown data set": (["data", "fetch", "everything"], "everything"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_clear_line(mistake: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,item_id\nann,i0\n")
    (tmp_path / "bad.csv").write_text("user_id,item_id\nann,i0\n,i1\n")
    arguments, expected = MISTAKES[mistake]
    assert expected in complaint(run(*arguments, cwd=tmp_path))


def test_wrong_usage_ends_with_two(tmp_path: Path) -> None:
    for arguments in (["train"], ["nonsense"], ["train", "--train", "t", "--out", "r", "--refit"]):
        assert run(*arguments, cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("program", "command", "missing", "extra"),
    [
        ("cml", ["train", "--train", "t.csv", "--out", "run"], ["torch"], "train"),
        ("cml", ["data", "check", "t.csv"], ["pandas", "pyarrow", "scipy"], "train"),
        ("cml", ["demo"], ["torch", "tqdm", "scipy"], "train"),
        ("adversarial", ["wasserstein", "x.npz", "y.npz"], ["ot", "torch", "pandas", "scipy"], "adversarial"),
    ],
)
def test_a_missing_extra_is_named(
    program: str, command: Iterable[str], missing: list[str], extra: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("user_id,item_id\nann,i0\n")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r})); sys.argv[1:] = {list(command)!r}\n"
        f"from {program}.cli import main; main()"
    )
    done = start([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert f"pip install 'cml-recommender[{extra}]'" in complaint(done)

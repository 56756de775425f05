"""`cml train`: what it refuses, what it says, and that it does the same twice."""

import csv
import json
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
import pytest
from click.testing import CliRunner

from cml.artifact import load
from cml.commands.train import command
from cml.errors import ConfigError, StorageError
from cml.registry import Registry
from cml.training.history import Epoch
from cml.training.profiling import OTHER, STAGES
from tests.cml.training_worlds import two_tastes

SETTINGS = ("dim=4", "epochs=3", "batch_size=64", "pool=20", "train.metric=hit_rate@5")
QUICK = ("--threads", "1", *(part for setting in SETTINGS for part in ("--set", setting)))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Training and validation interactions: (paths by name)."""
    folder = tmp_path_factory.mktemp("files")
    paths = {}
    for name, data in zip(("train", "valid"), two_tastes(), strict=True):
        rows = zip(data.user_rows, data.item_rows, strict=True)
        paths[name] = folder / f"{name}.csv"
        paths[name].write_text("user_id,item_id\n" + "".join(f"u{user},i{item}\n" for user, item in rows))
    return paths


def train(files, out, *options, valid=True):
    judged = ("--valid", str(files["valid"])) if valid else ()
    arguments = ["--train", str(files["train"]), *judged, "--out", str(out), *QUICK, *options]
    return CliRunner().invoke(command, arguments)


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_same_seed_and_threads_give_the_same_model_byte_by_byte(files, tmp_path):
    for name, seed in (("one", "7"), ("same", "7"), ("other", "8")):
        document(train(files, tmp_path / name, "--seed", seed, "--json"))
    one, same, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "artifact").glob("*.safetensors")}
        for name in ("one", "same", "other")
    )
    assert "vectors.safetensors" in one
    assert one == same
    assert one["vectors.safetensors"] != other["vectors.safetensors"]


def test_the_history_says_how_training_went(files, tmp_path):
    document(train(files, tmp_path / "run", "--json"))
    with (tmp_path / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = set(rows[0])
    assert {name for name in Epoch.__dataclass_fields__ if name != "metrics"} <= columns
    assert {"validation hit_rate@5", "validation ndcg@10", "validation recall@50"} <= columns
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())


def test_a_search_leaves_its_trials_and_the_settings_that_won(files, tmp_path):
    said = document(train(files, tmp_path / "run", "--auto", "20s", "--set", "train.visits=2", "--json"))
    with (tmp_path / "run" / "trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    winner = [trial for trial in trials if trial["accepted"] == "True"][-1]
    model = load(tmp_path / "run" / "artifact")
    assert float(winner["hit_rate@5"]) == said["metrics"]["hit_rate@5"] == model.metrics["hit_rate@5"]
    assert said["metrics"]["hit_rate@5"] >= float(trials[0]["hit_rate@5"])
    assert model.config == said["config"]
    assert {trial["model.dim"] for trial in trials} == {"4"}
    assert {trial["train.visits"] for trial in trials} == {"2"}
    for setting in ("train.temperature", "train.learning_rate"):
        section, _, name = setting.partition(".")
        assert model.config[section][name] == float(winner[setting])


def test_a_search_without_time_gives_the_model_of_a_plain_run_also_after_a_refit(files, tmp_path):
    for name, options in (("plain", ()), ("searched", ("--auto", "0.01s"))):
        document(train(files, tmp_path / name, "--refit", *options, "--json"))
    plain, searched = (load(tmp_path / name / "artifact") for name in ("plain", "searched"))
    assert np.array_equal(plain.user_vectors, searched.user_vectors)
    assert plain.config == searched.config
    train(files, tmp_path / "searched")
    assert not (tmp_path / "searched" / "trials.csv").exists()  # of an older run


def test_a_search_tells_of_its_trials_on_standard_error(files, tmp_path):
    result = train(files, tmp_path / "run", "--auto", "1s", "--json")
    assert "trial 1: as configured: " in result.stderr
    assert "best so far" in result.stderr


@pytest.mark.parametrize("duration", ["0s", "15", "m", "a while"])
def test_a_time_that_is_none_is_refused(files, tmp_path, duration):
    result = train(files, tmp_path / "run", f"--auto={duration}")
    assert result.exit_code == 2
    assert "90s, 15m, 1h or 30d" in result.stderr


@pytest.mark.parametrize("options", [("--auto",), ("--auto", "90s"), ("--refit",)])
def test_choosing_without_validation_data_is_refused(files, tmp_path, options):
    result = train(files, tmp_path / "run", *options, valid=False)
    assert result.exit_code == 2
    assert "give --valid FILE or --hold-out" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_search_cannot_be_resumed(files, tmp_path):
    result = train(files, tmp_path / "run", "--auto", "1h", "--resume")
    assert result.exit_code == 2
    assert "leave out --resume" in result.stderr


def test_a_profile_shows_where_the_time_went(files, tmp_path):
    text = train(files, tmp_path / "text", "--profile").stdout
    table = text[text.index("where the time went") :].splitlines()[1:]
    assert [line.split("  ")[1] for line in table] == [*STAGES, OTHER]
    said = document(train(files, tmp_path / "json", "--profile", "--json"))
    assert list(said["profile"]) == [*STAGES, OTHER]
    assert sum(said["profile"].values()) == pytest.approx(said["seconds"], abs=0.01)
    assert "profile" not in document(train(files, tmp_path / "off", "--json"))


def test_settings_that_do_not_go_together_are_told(files, tmp_path):
    result = train(files, tmp_path / "run", "--set", "train.metric=luck@5")
    assert isinstance(result.exception, ConfigError)
    assert "ndcg@10" in str(result.exception)


def test_with_models_the_result_is_published(files, tmp_path):
    models = tmp_path / "models"
    version = document(train(files, tmp_path / "run", "--models", str(models), "--json"))["version"]
    assert version == Registry(models).current()
    digest = sha256((tmp_path / "run" / "artifact" / "manifest.json").read_bytes()).hexdigest()
    assert version == f"000001-{digest[:12]}"


def test_a_registry_that_cannot_be_is_told_before_training(files, tmp_path):
    result = train(files, tmp_path / "run", "--models", "nix://bucket/models")
    assert isinstance(result.exception, StorageError)
    assert "nix://bucket/models" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_training_that_was_interrupted_is_not_published(files, tmp_path, monkeypatch):
    @contextmanager
    def interrupting(*_arguments, **_options):
        def listen(_epoch):
            raise KeyboardInterrupt

        yield listen

    monkeypatch.setattr("cml.commands.train.progress", interrupting)
    found = document(train(files, tmp_path / "run", "--models", str(tmp_path / "models"), "--json"))
    assert (found["stopped"], found["version"]) == ("interrupted", None)
    assert Registry(tmp_path / "models").versions() == []

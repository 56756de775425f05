"""The command line: its contract with callers, errors in one line, and help without the heavy imports."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from adversarial import tables, toys, wasserstein
from adversarial.alignments import ALIGNMENTS
from adversarial.cli import COMMANDS, cli, missing_extra
from adversarial.errors import DataError, MissingExtraError, ModelError

QUICK = ["--steps", "60", "--hidden", "16", "--critic-hidden", "8", "--learning-rate", "0.01", "--seed", "3"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    world = toys.shifted_clusters(120, shift=1.0, randomness=torch.Generator().manual_seed(0))
    tables.write(folder / "source.svmlight", world.source.numpy(), world.source_labels.numpy())
    tables.write(folder / "target.csv", world.target.numpy()[:80])
    tables.write(folder / "test.npz", world.target.numpy()[80:], world.target_labels.numpy()[80:])
    return folder


def _run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def _domains(files):
    return ["--source", files / "source.svmlight", "--target", files / "target.csv", "--index-base", "0"]


@pytest.mark.parametrize("method", ALIGNMENTS)
def test_evaluate_prints_one_json_object_with_accuracy_settings_and_seconds(files, method):
    output = _run(
        "evaluate", "--method", method, *_domains(files), "--test", files / "test.npz", *QUICK, "--json"
    )
    result = json.loads(output)
    assert 0.4 < result["accuracy"] <= 1
    assert result["accuracy"] * 40 == pytest.approx(round(result["accuracy"] * 40))
    assert (result["method"], result["steps"], result["seed"]) == (method, 60, 3)
    assert result["settings"]["hidden"] == [16]
    assert result["rows"] == {"source": 120, "target": 80, "test": 40}
    assert result["seconds"] > 0


def test_the_labels_of_the_target_change_nothing(tmp_path):
    world = toys.shifted_clusters(60, shift=1.0, randomness=torch.Generator().manual_seed(0))
    results = []
    for labels in (world.target_labels.numpy(), 1 - world.target_labels.numpy()):
        tables.write(tmp_path / "s.npz", world.source.numpy(), world.source_labels.numpy())
        tables.write(tmp_path / "t.npz", world.target.numpy(), labels)
        tables.write(tmp_path / "e.npz", world.target.numpy(), world.target_labels.numpy())
        files = ["--source", tmp_path / "s.npz", "--target", tmp_path / "t.npz", "--test", tmp_path / "e.npz"]
        results.append(json.loads(_run("evaluate", *files, *QUICK, "--json"))["accuracy"])
    assert results[0] == results[1]


def test_labels_of_the_test_that_the_source_has_not_are_refused(files, tmp_path):
    rows = np.ones((3, 10))
    tables.write(tmp_path / "e.csv", rows, np.array([1, 0, 2]))
    with pytest.raises(DataError, match=r"e\.csv: data row 3 has label 2, .*source\.svmlight are 0\.0, 1\.0"):
        _run("evaluate", *_domains(files), "--test", tmp_path / "e.csv", *QUICK)
    tables.write(tmp_path / "e.csv", rows, np.array(["good", "bad", "bad"]))
    with pytest.raises(DataError, match="data row 1 has label 'good'"):
        _run("evaluate", *_domains(files), "--test", tmp_path / "e.csv", *QUICK)


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
@pytest.mark.parametrize("command", ["evaluate", "experiment", "wasserstein"])
def test_seeds_out_of_range_are_wrong_usage(files, command, seed):
    arguments = {
        "evaluate": [*_domains(files), "--test", files / "test.npz"],
        "experiment": ["identities", "--out", files / "x"],
        "wasserstein": [files / "target.csv", files / "test.npz"],
    }
    assert "--seed" in _run(command, *arguments[command], "--seed", seed, code=2)


def test_a_model_reads_svmlight_files_as_it_read_its_target_whatever_its_source_was(files, tmp_path):
    """Indices from 1: reading them from 0 would shift every feature by one."""
    rows = np.abs(np.random.default_rng(0).normal(size=(40, 4))) + 0.1
    rows[:, 3] = 0  # so that a shift goes unnoticed
    tables.write(tmp_path / "s.npz", rows, np.arange(40) % 2)
    lines = ["0 " + " ".join(f"{i}:{v!r}" for i, v in enumerate(row.tolist()[:3], start=1)) for row in rows]
    (tmp_path / "t.svmlight").write_text("\n".join(lines))
    for target in ("t.svmlight", "s.npz"):
        model = tmp_path / f"model-{target}"
        _run("fit", "--source", tmp_path / "s.npz", "--target", tmp_path / target, *QUICK, "--out", model)
        for name in ("t.svmlight", "s.npz"):
            _run("transform", "--model", model, "--input", tmp_path / name, "--out", tmp_path / f"{name}.csv")
        found = [pd.read_csv(tmp_path / f"{name}.csv").filter(like="f") for name in ("t.svmlight", "s.npz")]
        assert np.allclose(*found, atol=1e-5)


def test_evaluate_without_json_prints_a_sentence(files):
    output = _run("evaluate", *_domains(files), "--test", files / "test.npz", *QUICK)
    assert output.startswith("wdgrl: accuracy 0.")


def test_fit_then_transform_writes_features_and_predictions(files, tmp_path):
    _run("fit", *_domains(files), *QUICK, "--out", tmp_path / "m", "--history", tmp_path / "h.csv")
    _run(
        "transform", "--model", tmp_path / "m", "--input", files / "test.npz", "--out", tmp_path / "z.parquet"
    )
    _run(
        *("transform", "--model", tmp_path / "m", "--input", files / "source.svmlight"),
        *("--out", tmp_path / "p.csv", "--predict"),
    )
    adapted, predicted = pd.read_parquet(tmp_path / "z.parquet"), pd.read_csv(tmp_path / "p.csv")
    truth = tables.read_together([files / "source.svmlight"], index_base=0)[0].labels
    assert adapted.shape == (40, 17)
    assert (predicted["label"] == truth).mean() > 0.9
    assert list(pd.read_csv(tmp_path / "h.csv").columns) == ["step", "task_loss", "alignment_loss"]


def test_fit_refuses_to_overwrite_before_it_trains(files, tmp_path):
    with pytest.raises(ModelError, match="exists"):
        _run("fit", *_domains(files), "--out", tmp_path)


def test_fit_can_regress(files, tmp_path):
    _run("fit", *_domains(files), *QUICK, "--task", "regress", "--out", tmp_path / "m")
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["kind"] == "regressor"


def test_wasserstein_agrees_with_the_library(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(2, 12, 2))
    tables.write(tmp_path / "x.csv", x)
    tables.write(tmp_path / "y.npz", y)
    result = json.loads(_run("wasserstein", tmp_path / "x.csv", tmp_path / "y.npz", "--json"))
    assert result["value"] == pytest.approx(wasserstein.exact(x, y).value, rel=1e-6)
    assert (result["n"], result["m"]) == (12, 12)
    assert abs(result["gap"]) < 1e-9
    sliced = json.loads(
        _run("wasserstein", tmp_path / "x.csv", tmp_path / "y.npz", "--sliced", "20", "--json")
    )
    assert 0 < sliced["value"] < result["value"]


def test_a_missing_file_is_named(files):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        _run(
            "evaluate",
            "--source",
            "nowhere.csv",
            "--target",
            files / "target.csv",
            "--test",
            files / "test.npz",
        )


@pytest.mark.parametrize("widths", ["a", "0", "5,,5"])
def test_widths_that_are_none_are_refused(files, widths):
    output = _run("evaluate", *_domains(files), "--test", files / "test.npz", "--hidden", widths, code=2)
    assert "500,100" in output or "width below 1" in output


def test_errors_are_one_line_without_a_traceback():
    command = [sys.executable, "-m", "adversarial", "wasserstein", "nowhere.csv", "nowhere.csv"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: nowhere.csv: no such file")
    assert finished.stderr.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named_in_one_line_before_any_training(files, tmp_path):
    (tmp_path / "file").touch()
    domains = ["--source", str(files / "source.svmlight"), "--target", str(files / "target.csv")]
    place = ["--out", str(tmp_path / "file" / "model"), "--steps", "100000000"]
    command = [sys.executable, "-m", "adversarial", "fit", *domains, *place]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {tmp_path / 'file'}: ")
    assert finished.stderr.count("\n") == 1


def test_help_needs_none_of_the_heavy_libraries():
    code = (
        "import sys; from click.testing import CliRunner; from adversarial.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'sklearn', 'ot', 'matplotlib') if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    assert "Usage:" in _run(name, "--help")


def test_a_missing_extra_is_named_with_its_pip_command():
    error = missing_extra(ModuleNotFoundError("no", name="ot.lp"), "adversarial wasserstein")
    assert isinstance(error, MissingExtraError)
    assert "pip install 'cml-recommender[adversarial]'" in str(error)
    own = ModuleNotFoundError("no", name="adversarial.typo")
    assert missing_extra(own, "adversarial fit") is own


def test_an_unknown_command_is_refused():
    assert "No such command" in _run("train", code=2)

"""A retraining that is killed goes on by the same command, to the same model, whenever it was killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cml.artifact import Artifact
from cml.registry import Registry
from cml.retraining import past
from tests.cml.test_retrain_command import QUICK, two_groups

# What the process is made to do: kill itself where a phase is half done, then run as usual.
KILLED = """
import os, signal, sys
from importlib import import_module
from cml.cli import main

def die(*_args, **_kwargs):
    os.kill(os.getpid(), {signal})

def patched(place, around):
    owner, _, name = place.rpartition(".")
    try:
        owner = import_module(owner)
    except ModuleNotFoundError:
        module, _, attribute = owner.rpartition(".")
        owner = getattr(import_module(module), attribute)
    setattr(owner, name, around(getattr(owner, name)))

def before(call):
    return die

def after(call):
    def around(*args, **kwargs):
        result = call(*args, **kwargs)
        die()
        return result
    return around

def after_saving(step):
    def patch(call):
        def around(self, plan, progress):
            call(self, plan, progress)
            if step in self.path.name and progress.epoch == 1:
                die()
        return around
    return patch

{patch}
main()
"""
PHASES = {
    "reading": 'patched("cml.retraining.interactions.read_interactions", after)',
    "keeping what was read": 'patched("cml.retraining.workspace.write_arrays", after)',
    "choosing the epoch": 'patched("cml.training.checkpoint.Checkpoint.save", after_saving("choosing"))',
    "training the candidate": 'patched("cml.training.checkpoint.Checkpoint.save", after_saving("candidate"))',
    "judging": 'patched("cml.retraining.retrain.decide", before)',
    "learning from everything": 'patched("cml.training.checkpoint.Checkpoint.save", after_saving("final"))',
    "writing the artifact": 'patched("cml.artifact.describe_files", before)',
    "copying into the registry": 'patched("cml.storage.directory._copy", after)',
    "before the pointer moves": 'patched("cml.storage.directory.replace_file", before)',
    "after the pointer moved": 'patched("cml.storage.directory.replace_file", after)',
    "writing the report": 'patched("cml.retraining.report.write", before)',
    "before the history": 'patched("cml.retraining.past.append", before)',
    "after the history": 'patched("cml.retraining.past.append", after)',
}


@dataclass(frozen=True)
class World:
    """A registry with one version, the data that it does not know yet, and the model of a round nobody disturbed."""

    models: Path
    data: Path
    undisturbed: Artifact

    def command(self, models: Path, *options: str) -> list[str]:
        return ["retrain", "--train", str(self.data), "--models", str(models), "--no-events", *options]


def run(
    arguments: list[str], patch: str = "", number: int = signal.SIGKILL
) -> subprocess.CompletedProcess[str]:
    code = KILLED.format(patch=patch, signal=int(number))
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("interrupted")
    old = two_groups(root / "old.csv", likes=8)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    first = run(["retrain", "--train", str(old), "--models", str(root / "models"), "--no-events", *settings])
    assert first.returncode == 0, first.stderr
    world = World(root / "models", two_groups(root / "new.csv", likes=10), None)  # type: ignore[arg-type]
    shutil.copytree(root / "models", root / "undisturbed")
    done = run(world.command(root / "undisturbed"))
    assert done.returncode == 0, done.stderr
    return World(world.models, world.data, Registry(root / "undisturbed").load())


@pytest.fixture
def models(world: World, tmp_path: Path) -> Path:
    shutil.copytree(world.models, tmp_path / "models")
    return tmp_path / "models"


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_round_goes_on_to_the_same_model(world: World, models: Path, phase: str) -> None:
    before = Registry(models).current()
    killed = run(world.command(models), PHASES[phase])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Registry(models).load()  # whatever happened, a whole version answers
    again = run(world.command(models, "--json"))
    assert again.returncode == 0, again.stderr
    assert "did not end by itself" in again.stderr
    found = json.loads(again.stdout)
    assert (found["outcome"], found["before"]) == ("published", before)
    now = Registry(models).load()
    assert np.array_equal(now.user_vectors, world.undisturbed.user_vectors)
    assert np.array_equal(now.item_vectors, world.undisturbed.item_vectors)
    assert now.data == world.undisturbed.data
    assert len(Registry(models).versions()) == 2
    assert [row["outcome"] for row in past.read(Registry(models))] == ["published", "published"]
    assert not (models / "retraining" / "run" / "steps").exists()


@pytest.mark.slow
def test_a_first_round_that_was_killed_after_publishing_tells_what_it_published(
    world: World, tmp_path: Path
) -> None:
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    command = world.command(tmp_path / "models", *settings)
    killed = run(command, PHASES["after the pointer moved"])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run([*command, "--json"])
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    registry = Registry(tmp_path / "models")
    assert (found["outcome"], found["version"]) == ("published", registry.current())
    assert [row["version"] for row in past.read(registry)] == registry.versions()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_one_line_and_the_same_command_goes_on(
    world: World, models: Path, number: int
) -> None:
    stopped = run(world.command(models, "--json"), PHASES["learning from everything"], number)
    assert stopped.returncode == 5
    assert stopped.stderr.startswith("error: stopped by SIG")
    assert stopped.stderr.count("\n") == 1
    again = run(world.command(models, "--json"))
    assert again.returncode == 0, again.stderr
    assert "going on with an interrupted run" in again.stderr
    assert np.array_equal(Registry(models).load().item_vectors, world.undisturbed.item_vectors)


@pytest.mark.slow
def test_a_damaged_newest_version_ends_the_round_with_what_to_do(world: World, models: Path) -> None:
    current = Registry(models).require_current()
    path = Registry(models).path(current) / "vectors.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = run(world.command(models))
    assert done.returncode == 1
    assert "vectors.safetensors: damaged" in done.stderr
    assert "roll back" in done.stderr
    assert Registry(models).versions() == [current]


@pytest.mark.slow
@pytest.mark.parametrize("room", [3_000, 12_000, 40_000])
def test_a_full_disk_ends_it_in_one_line_and_with_room_it_goes_on(
    world: World, models: Path, room: int
) -> None:
    current = Registry(models).require_current()
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    full = run(world.command(models), f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limit}")
    assert full.returncode == 1, full.stderr
    assert "error:" in full.stderr.splitlines()[-1]
    assert "File too large" in full.stderr
    assert Registry(models).current() == current
    again = run(world.command(models, "--json"))
    assert again.returncode == 0, again.stderr
    assert np.array_equal(Registry(models).load().item_vectors, world.undisturbed.item_vectors)

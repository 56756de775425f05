"""Commands whose disk runs full: one line that names the place, what was there stays, the same command goes on."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cml.artifact import Artifact, load
from cml.events.store import EventStore
from cml.events.values import Event
from cml.registry import Registry
from tests.cml.test_retrain_command import QUICK, two_groups
from tests.end_to_end.commands import complaint, run
from tests.end_to_end.disks import Disk, mounted

pytestmark = pytest.mark.slow

SETTINGS = [argument for setting in QUICK for argument in ("--set", setting)]
SHARES = [0.0, 0.3, 0.7]  # of the room that a command needs
FULL = ("No space left on device", "File too large")


@dataclass(frozen=True)
class World:
    """Data, a run and a registry of it; the run and the version that more data lead to where nothing disturbs."""

    old: Path
    new: Path
    run: Path
    models: Path
    later_run: Path
    later: Artifact


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("full")
    old, new = two_groups(root / "old.csv", likes=8), two_groups(root / "new.csv", likes=10)
    for command in (
        ["train", "--train", old, "--out", root / "run", *SETTINGS],
        ["models", "publish", root / "run", "--to", root / "models"],
        ["train", "--train", new, "--out", root / "later", *SETTINGS],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    shutil.copytree(root / "models", root / "undisturbed")
    done = run("retrain", "--train", new, "--models", root / "undisturbed", "--no-events")
    assert done.returncode == 0, done.stderr
    later = Registry(root / "undisturbed").load()
    return World(old, new, root / "run", root / "models", root / "later", later)


class Place:
    """A folder in which commands find little room."""

    def __init__(self, folder: Path, disk: Disk | None) -> None:
        self.folder = folder
        self._disk = disk

    def run_with(self, share: float, of: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `cml` with this share of the room that `of` takes: on the whole disk, or for each file."""
        sizes = [file.stat().st_size for file in of.rglob("*") if file.is_file()] or [of.stat().st_size]
        command = [sys.executable, "-m", "cml", *map(str, arguments)]
        if self._disk is None:
            room = int(share * max(sizes))

            def limit() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

            return subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
        self._disk.leave(int(share * sum(sizes)))
        try:
            return subprocess.run(command, capture_output=True, text=True)
        finally:
            self._disk.clear()


@pytest.fixture(params=["disk", "limit"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "limit":
        yield Place(tmp_path, None)
        return
    with mounted(tmp_path / "disk", 32 << 20) as disk:
        if disk is None:
            pytest.skip("mounting a small disk needs root; the same by a limit is tested beside this")
        yield Place(disk.folder, disk)


def refused(done: subprocess.CompletedProcess[str], place: Path) -> None:
    said = complaint(done)
    assert str(place) in said
    assert any(reason in said for reason in FULL), said


def same(one: Artifact, other: Artifact) -> bool:
    return np.array_equal(one.item_vectors, other.item_vectors) and np.array_equal(
        one.user_vectors, other.user_vectors
    )


@pytest.mark.parametrize("share", SHARES)
def test_training_leaves_no_half_model_and_the_same_command_makes_the_whole_one(
    world: World, place: Place, share: float
) -> None:
    out = place.folder / "run"
    command = ["train", "--train", world.new, "--out", out, *SETTINGS]
    refused(place.run_with(share, world.later_run, *command), out)
    assert not (out / "artifact").exists()
    assert complaint(run("models", "publish", out, "--to", place.folder / "models"))
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert same(load(out / "artifact"), load(world.later_run / "artifact"))
    assert sorted(path.name for path in out.iterdir()) == ["artifact", "history.csv"]


@pytest.mark.parametrize("share", SHARES)
def test_publishing_changes_nothing_and_the_same_command_publishes(
    world: World, place: Place, share: float
) -> None:
    models = place.folder / "models"
    shutil.copytree(world.models, models)
    registry = Registry(models)
    before = registry.versions()
    command = ["models", "publish", world.later_run, "--to", models]
    refused(place.run_with(share, world.later_run / "artifact", *command), models)
    assert registry.versions() == before == [registry.current()]
    assert same(registry.load(), load(world.run / "artifact"))
    assert not list(models.rglob(".staging-*"))
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert same(registry.load(), load(world.later_run / "artifact"))


@pytest.mark.parametrize("share", SHARES)
def test_a_first_publication_leaves_an_empty_registry(world: World, place: Place, share: float) -> None:
    models = place.folder / "models"
    command = ["models", "publish", world.run, "--to", models]
    refused(place.run_with(share, world.run / "artifact", *command), models)
    assert Registry(models).versions() == []
    assert Registry(models).current() is None
    done = run(*command)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("share", SHARES)
def test_retraining_publishes_nothing_and_the_same_command_goes_on_to_the_same_model(
    world: World, place: Place, share: float
) -> None:
    models = place.folder / "models"
    shutil.copytree(world.models, models)
    registry = Registry(models)
    before = registry.current()
    command = ["retrain", "--train", world.new, "--models", models, "--no-events"]
    refused(place.run_with(share, world.later_run, *command), models)
    assert registry.versions() == [before]
    assert registry.load()
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert same(registry.load(), world.later)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_backing_events_up_keeps_the_backup_before_and_restoring_takes_all_or_nothing(
    place: Place, tmp_path: Path, share: float
) -> None:
    events = tmp_path / "events.db"
    with closing(EventStore(f"sqlite:///{events}")) as store:
        store.append([Event(f"e{number}", "ann", "i1", "like", 1.0, 1.0) for number in range(20_000)])
    whole = tmp_path / "whole"
    assert run("events", "backup", whole, "--events", f"sqlite:///{events}").returncode == 0
    kept = place.folder / "backup"
    kept.write_text("the one before")
    with closing(EventStore(f"sqlite:///{events}")):  # open elsewhere, as where a service runs
        command = ["events", "backup", kept, "--events", f"sqlite:///{events}"]
        done = place.run_with(share, whole, *command)
    refused(done, kept)
    assert "event store" not in done.stderr  # which is well
    assert kept.read_text() == "the one before"
    target = place.folder / "restored.db"
    command = ["events", "restore", whole, "--to", f"sqlite:///{target}", "--models", tmp_path]
    with closing(EventStore(f"sqlite:///{target}")):
        pass
    said = complaint(place.run_with(share, events, *command))
    assert "the event store cannot be written" in said
    with closing(EventStore(f"sqlite:///{target}")) as store:
        assert store.count() == 0
    done = run(*command)
    assert done.returncode == 0, done.stderr
    with closing(EventStore(f"sqlite:///{target}")) as store:
        assert store.count() == 20_000

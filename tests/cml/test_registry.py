import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from errno import ENOSPC
from multiprocessing import get_context
from pathlib import Path

import pytest

from cml import artifact
from cml.errors import ArtifactError, RegistryError
from cml.registry import Registry
from tests.cml.small_models import content, registry


def leftovers(models):
    return [path.name for path in models.root.iterdir() if path.name.startswith(".staging-")]


def assert_whole(models):
    """What every reader may rely on, whatever happened to a writer."""
    assert models.versions()
    for version in models.versions():
        models.verify(version)
    models.load(models.current())


def test_a_published_version_is_current_and_named_by_number_and_manifest(tmp_path):
    models = registry(tmp_path, versions=2)
    first, second = models.versions()
    assert first.startswith("000001-")
    assert second.startswith("000002-")
    assert models.current() == second
    assert models.load().data == {"fingerprint": "seed 1"}


def test_a_url_that_was_made_a_path_is_refused_before_it_becomes_a_directory():
    with pytest.raises(RegistryError, match="given as text"):
        Registry(Path("s3://bucket/models"))


def test_what_one_user_publishes_another_can_read(tmp_path):
    models = registry(tmp_path, versions=1)
    assert (models.root / "CURRENT").stat().st_mode & 0o777 == 0o644


def test_publishing_the_same_artifact_again_adds_nothing(tmp_path):
    models = registry(tmp_path, versions=2)
    again = models.publish(tmp_path / "run0")
    assert again == models.versions()[0] == models.current()
    assert len(models.versions()) == 2


def test_a_damaged_copy_does_not_pass_for_the_published_artifact(tmp_path):
    models = registry(tmp_path, versions=1)
    damaged = models.versions()[0]
    flip(models.path(damaged) / artifact.VECTORS, 100)
    fresh = models.publish(tmp_path / "run0")
    assert fresh != damaged
    assert models.current() == fresh
    models.verify(fresh)


def test_an_inactive_version_is_listed_but_not_current(tmp_path):
    models = registry(tmp_path, versions=1)
    before = models.current()
    artifact.write(content(seed=9), tmp_path / "candidate")
    added = models.publish(tmp_path / "candidate", activate=False)
    assert models.current() == before
    assert models.versions() == [before, added]


def test_rollback_goes_to_the_version_before_and_stops_at_the_oldest(tmp_path):
    models = registry(tmp_path, versions=3)
    first, second, _ = models.versions()
    assert [models.rollback(), models.rollback()] == [second, first]
    with pytest.raises(RegistryError, match="nothing to roll back"):
        models.rollback()
    assert models.current() == first


def test_rollback_refuses_a_damaged_version_and_names_its_file(tmp_path):
    models = registry(tmp_path, versions=2)
    damaged, current = models.versions()
    flip(models.path(damaged) / artifact.SEEN, -1)
    with pytest.raises(ArtifactError, match=artifact.SEEN):
        models.rollback()
    assert models.current() == current


def test_removing_keeps_an_undamaged_version_to_go_back_to(tmp_path):
    models = registry(tmp_path, versions=3)
    intact, damaged, current = models.versions()
    flip(models.path(damaged) / artifact.SEEN, -1)
    assert models.remove([intact, damaged, current]) == [damaged]
    assert models.rollback() == intact


def test_removing_leaves_the_current_version_and_the_one_that_a_rollback_leads_to(tmp_path):
    models = registry(tmp_path, versions=4)
    names = models.versions()
    models.set_current(names[2])
    assert models.previous() == names[1]
    assert models.remove(names) == [names[0], names[3]]
    assert models.versions() == [names[1], names[2]]
    assert not leftovers(models)
    assert_whole(models)
    assert models.rollback() == names[1]
    assert models.previous() is None


def test_an_empty_registry_says_how_to_publish(tmp_path):
    models = Registry(tmp_path / "models")
    assert models.current() is None
    assert models.versions() == []
    with pytest.raises(RegistryError, match="cml models publish"):
        models.load()


@pytest.mark.parametrize("name", ["000009-0123456789ab", "../../etc", "", "CURRENT"])
def test_an_unknown_version_is_refused(tmp_path, name):
    with pytest.raises(RegistryError, match="no version"):
        registry(tmp_path, versions=1).path(name)


def test_a_pointer_to_nothing_is_an_error_not_an_empty_registry(tmp_path):
    models = registry(tmp_path, versions=1)
    (models.root / "CURRENT").write_text("000007-0123456789ab\n")
    with pytest.raises(RegistryError, match="000007-0123456789ab"):
        models.current()


@pytest.mark.parametrize("where", [0, 1, -1])
def test_a_flipped_byte_is_found_and_its_file_named(tmp_path, where):
    models = registry(tmp_path, versions=1)
    version = models.current()
    files = sorted(path.name for path in models.path(version).iterdir())
    assert len(files) == 7
    for name in files:
        path = models.path(version) / name
        at = path.stat().st_size // 2 if where == 1 else where
        flip(path, at)
        with pytest.raises(ArtifactError, match=name):
            models.verify(version)
        flip(path, at)
    models.verify(version)


def test_every_byte_of_the_manifest_counts_even_before_publication(tmp_path):
    artifact.write(content(), tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    intact = path.read_bytes()
    for at in range(len(intact)):
        damaged = bytearray(intact)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"manifest\.json"):
            artifact.read_manifest(tmp_path / "run")


def test_a_reformatted_manifest_is_damaged_even_where_it_says_the_same(tmp_path):
    artifact.write(content(), tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b": ", b":  ", 1))
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        artifact.read_manifest(tmp_path / "run")


def test_a_version_whose_files_were_exchanged_for_another_versions_is_found(tmp_path):
    models = registry(tmp_path, versions=2)
    first, second = (models.path(version) for version in models.versions())
    for file in second.iterdir():
        (first / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ArtifactError, match=r"manifest\.json.*the version's name"):
        models.verify(first.name)


def test_a_missing_file_is_named(tmp_path):
    models = registry(tmp_path, versions=1)
    (models.path(models.current()) / artifact.USERS).unlink()
    with pytest.raises(ArtifactError, match=artifact.USERS):
        models.verify(models.current())


def test_a_damaged_artifact_is_not_published(tmp_path):
    models = registry(tmp_path, versions=1)
    before = models.current()
    artifact.write(content(seed=5), tmp_path / "bad")
    flip(tmp_path / "bad" / artifact.LISTS, 999)
    with pytest.raises(ArtifactError, match=artifact.LISTS):
        models.publish(tmp_path / "bad")
    assert models.versions() == [before]
    assert models.current() == before


@pytest.mark.slow
def test_a_publisher_killed_at_any_step_leaves_only_whole_versions(tmp_path):
    models = registry(tmp_path, versions=1)
    old = models.current()
    artifact.write(content(seed=7), tmp_path / "new")
    kills = 0
    for step in range(1, 1000):
        if not killed_at(step, models, tmp_path / "new"):
            break
        kills += 1
        assert_whole(models)
        assert models.current() == old or models.current().startswith("000002-")
        if models.current() != old:
            models.set_current(old)
    assert kills > 30
    assert models.versions()[1:] == [models.current()]
    assert not leftovers(models)


def test_the_writer_after_a_killed_one_cleans_up(tmp_path):
    models = registry(tmp_path, versions=1)
    (models.root / ".staging-dead").mkdir()
    (models.root / ".staging-dead" / artifact.VECTORS).write_bytes(b"half of")
    (models.root / ".staging-pointer").write_text("0000")
    models.publish(tmp_path / "run0")
    assert not leftovers(models)


def test_files_and_directories_are_synced_before_they_are_named(tmp_path, monkeypatch):
    models = registry(tmp_path, versions=1)
    artifact.write(content(seed=3), tmp_path / "new")
    done = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor):
        done.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real_fsync(descriptor)

    def rename(source, target, **options):
        done.append(("rename", Path(target).name))
        real_rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    version = models.publish(tmp_path / "new")
    renamed, pointed = done.index(("rename", version)), done.index(("rename", "CURRENT"))
    synced = {name for action, name in done[:renamed] if action == "sync"}
    assert {path.name for path in models.path(version).iterdir()} < synced
    assert done[renamed + 1] == ("sync", "versions")
    assert done[pointed - 1][0] == "sync"
    assert done[pointed:] == [("rename", "CURRENT"), ("sync", "models")]


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_full_disk_leaves_the_current_version_and_no_rubbish(tmp_path, monkeypatch, failing):
    models = registry(tmp_path, versions=1)
    old = models.current()
    artifact.write(content(seed=4), tmp_path / "new")
    calls = iter(range(1, 1000))
    real_fsync = os.fsync

    def fsync(descriptor):
        if next(calls) == failing:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RegistryError, match="No space left") as caught:
        models.publish(tmp_path / "new")
    assert not leftovers(models)
    assert_whole(models)
    assert models.current() in str(caught.value)
    pointer_had_moved = failing == 11  # seven files, two directories, the pointer, its directory
    assert (models.current() != old) == pointer_had_moved


def test_a_file_that_does_not_fit_leaves_the_current_version(tmp_path):
    models = registry(tmp_path, versions=1)
    old = models.current()
    artifact.write(content(seed=4), tmp_path / "new")
    largest = max(path.stat().st_size for path in (tmp_path / "new").iterdir())

    def publish_with_little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, largest // 2))
        with pytest.raises(RegistryError, match="cannot be written"):
            models.publish(tmp_path / "new")

    assert in_child(publish_with_little_room) == 0
    assert models.versions() == [old] == [models.current()]
    assert not leftovers(models)


def test_an_artifact_that_does_not_fit_leaves_nothing_behind(tmp_path):
    def write_with_little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with pytest.raises(ArtifactError, match="cannot be written"):
            artifact.write(content(), tmp_path / "run" / "artifact")

    assert in_child(write_with_little_room) == 0
    assert list((tmp_path / "run").iterdir()) == []


def publish_many(root, runs):
    models = Registry(root)
    return [models.publish(run) for run in runs]


def test_two_publishers_at_once_each_publish_whole_versions(tmp_path):
    runs = []
    for seed in range(6):
        runs.append(tmp_path / f"run{seed}")
        artifact.write(content(n_users=5, n_items=20, seed=seed), runs[-1])
    root = tmp_path / "models"
    with ThreadPoolExecutor(2) as pool:
        names = [
            name
            for part in pool.map(lambda some: publish_many(root, some), [runs[::2], runs[1::2]])
            for name in part
        ]
    models = Registry(root)
    assert sorted(names) == models.versions()
    assert [name[:6] for name in models.versions()] == [f"{number:06d}" for number in range(1, 7)]
    assert models.current() == models.versions()[-1]
    assert_whole(models)


def test_readers_see_a_whole_version_while_publishers_work(tmp_path):
    models = registry(tmp_path, versions=2)
    runs = [tmp_path / "run0", tmp_path / "run1"]
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish_many, models.root, runs * 10)
        seen = set()
        while not publishing.done():
            loaded = models.load()
            seen.add(loaded.data["fingerprint"])
    publishing.result()
    assert seen == {"seed 0", "seed 1"}


def flip(path, at):
    """Turn over one bit pattern of the byte at a position; doing it twice restores the file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x41
    path.write_bytes(content)


def in_child(action):
    """Exit code of an action in a forked process, negative if a signal ended it."""
    child = get_context("fork").Process(target=action)
    child.start()
    child.join()
    return child.exitcode


def killed_at(step, models, run):
    """Publish in a child that is killed with SIGKILL at its nth file-system step; False if it finished."""

    def publish():
        steps = iter(range(1, 10_000))

        def count():
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event, _):
            if event in ("open", "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.rmdir", "fcntl.flock"):
                count()

        real_fsync = os.fsync

        def fsync(descriptor):
            count()
            real_fsync(descriptor)

        os.fsync = fsync
        sys.addaudithook(hook)
        models.publish(run)

    return in_child(publish) == -signal.SIGKILL

"""What a registry promises, wherever its versions are stored: a directory, objects in memory, an S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cml import artifact
from cml.errors import ArtifactError, RegistryError
from cml.manifest import MANIFEST
from cml.storage.base import VERSIONS
from tests.cml.storage.places import Place, assert_whole, flipped


def test_a_published_version_is_current_named_by_number_and_manifest_and_read_by_every_host(place: Place):
    registry = place.published(2)
    first, second = registry.versions()
    assert (first[:7], second[:7]) == ("000001-", "000002-")
    for host in ("host", "another"):
        seen = place.registry(host)
        assert (seen.versions(), seen.current()) == ([first, second], second)
        assert seen.load().data == {"fingerprint": "seed 1"}
        assert seen.load(first).data == {"fingerprint": "seed 0"}
        assert seen.manifest(first).data == {"fingerprint": "seed 0"}


def test_what_is_loaded_is_mapped_from_files_of_this_host_that_equal_the_artifact(place: Place):
    registry = place.published(1)
    directory = registry.path(registry.require_current())
    source = place.run(0)
    names = sorted(path.name for path in source.iterdir())
    assert sorted(path.name for path in directory.iterdir()) == names
    for name in names:
        assert (directory / name).read_bytes() == (source / name).read_bytes()
    assert not registry.load().item_vectors.flags.owndata


def test_an_empty_registry_says_how_to_publish(place: Place):
    registry = place.registry()
    assert (registry.current(), registry.versions(), registry.previous()) == (None, [], None)
    with pytest.raises(RegistryError, match=f"cml models publish RUN --to {place.where}"):
        registry.load()


def test_publishing_the_same_artifact_again_adds_nothing(place: Place):
    registry = place.published(2)
    again = registry.publish(place.run(0))
    assert again == registry.versions()[0] == registry.current()
    assert len(registry.versions()) == 2


def test_an_inactive_version_is_listed_but_not_current(place: Place):
    registry = place.published(1)
    before = registry.current()
    added = registry.publish(place.run(9), activate=False)
    assert (registry.current(), registry.versions()) == (before, [before, added])


def test_rollback_goes_to_the_version_before_and_stops_at_the_oldest(place: Place):
    registry = place.published(3)
    first, second, _ = registry.versions()
    assert [registry.rollback(), registry.rollback()] == [second, first]
    with pytest.raises(RegistryError, match="nothing to roll back"):
        registry.rollback()
    assert place.registry("another").current() == first


def test_removing_leaves_the_current_version_and_the_one_that_a_rollback_leads_to(place: Place):
    registry = place.published(4)
    names = registry.versions()
    registry.set_current(names[2])
    assert registry.remove(names) == [names[0], names[3]]
    assert registry.versions() == [names[1], names[2]]
    assert not [key for key in place.stored() if names[0] in key or names[3] in key]
    assert_whole(registry)
    assert registry.rollback() == names[1]
    with pytest.raises(RegistryError, match="no version"):
        place.registry("another").load(names[0])


def test_a_changed_byte_in_any_file_is_found_and_the_file_named(place: Place):
    registry = place.published(1)
    version = registry.require_current()
    files = [key for key in place.stored() if key.startswith(f"{VERSIONS}/{version}/")]
    assert len(files) == 7
    for key in files if isinstance(place.where, Path) else files[-3:]:
        place.change(key, flipped)
        with pytest.raises(ArtifactError, match=key):
            registry.verify(version)
        with pytest.raises(ArtifactError, match=key):
            place.registry(f"sees {key.replace('/', ' ')}").load()
        place.change(key, flipped)
    registry.verify(version)


def test_a_version_whose_files_were_exchanged_for_another_versions_is_refused(place: Place):
    registry = place.published(2)
    first, second = registry.versions()
    for key in place.stored():
        if second in key:
            place.write(key.replace(second, first), place.read(key))
    for ask in (registry.verify, place.registry("another").load):
        with pytest.raises(ArtifactError, match=r"manifest\.json.*the version's name"):
            ask(first)


def test_a_file_of_another_length_or_none_is_named(place: Place):
    registry = place.published(1)
    key = f"{VERSIONS}/{registry.current()}/{artifact.VECTORS}"
    raw = place.read(key)
    for changed in (raw[:-1], raw + b"\0", b"", None):
        place.delete(key) if changed is None else place.write(key, changed)
        for ask in (registry.verify, place.registry("another").load):
            with pytest.raises(ArtifactError, match=key if changed is None else rf"{key}.* bytes instead of"):
                ask(registry.require_current())


def test_a_damaged_version_is_not_made_current(place: Place):
    registry = place.published(2)
    damaged, current = registry.versions()
    place.change(f"{VERSIONS}/{damaged}/{artifact.SEEN}", flipped)
    with pytest.raises(ArtifactError, match=artifact.SEEN):
        registry.rollback()
    assert registry.current() == current


def test_a_damaged_copy_does_not_pass_for_the_published_artifact(place: Place):
    registry = place.published(1)
    damaged = registry.require_current()
    place.change(f"{VERSIONS}/{damaged}/{artifact.VECTORS}", flipped)
    fresh = registry.publish(place.run(0))
    assert fresh != damaged
    assert place.registry("another").current() == fresh
    registry.verify(fresh)


def test_a_damaged_artifact_is_not_published(place: Place):
    registry = place.published(1)
    before = registry.current()
    bad = place.run(5) / artifact.LISTS
    bad.write_bytes(flipped(bad.read_bytes()))
    with pytest.raises(ArtifactError, match=artifact.LISTS):
        registry.publish(place.run(5))
    assert (registry.versions(), registry.current()) == ([before], before)


def test_a_pointer_to_nothing_is_an_error_that_tells_the_way_out(place: Place):
    registry = place.published(1)
    (version,) = registry.versions()
    for pointer in (b"000007-0123456789ab\n", b"../../etc\n", b"\xff\xfe", b""):
        place.write("CURRENT", pointer)
        with pytest.raises(RegistryError, match=r"CURRENT.*cml models rollback --to VERSION"):
            registry.current()
    registry.set_current(version)
    assert registry.current() == version


def test_an_unknown_version_is_refused(place: Place):
    registry = place.published(1)
    for name in ("000009-0123456789ab", "../../etc", "", "CURRENT"):
        for ask in (registry.path, registry.verify, registry.manifest, registry.set_current):
            with pytest.raises(RegistryError, match="no version"):
                ask(name)


def test_what_a_dead_writer_left_is_no_version_and_goes_with_the_next_one(place: Place):
    registry = place.published(1)
    left = ".staging-dead" if place.where == place.folder / "models" else f"{VERSIONS}/000002-0123456789ab"
    if left.startswith("."):
        (place.folder / "models" / left).mkdir()
    place.write(f"{left}/{artifact.VECTORS}", b"half of")
    assert len(registry.versions()) == 1
    added = registry.publish(place.run(1))
    assert registry.versions()[1:] == [added]
    assert not [key for key in place.stored() if left in key]


def test_publishers_at_once_take_turns_and_readers_see_whole_versions_meanwhile(place: Place):
    place.registry().publish(place.run(0))
    runs = [place.run(seed) for seed in range(1, 5)]

    def publish(host: str, some: list) -> None:
        for run in some:
            place.registry(host).publish(run)

    with ThreadPoolExecutor(2) as pool:
        publishing = [pool.submit(publish, "one", runs[::2]), pool.submit(publish, "two", runs[1::2])]
        reader, seen = place.registry("reader"), set()
        while not all(one.done() for one in publishing):
            seen.add(reader.load().data["fingerprint"])
    assert [one.result() for one in publishing] == [None, None]
    assert seen <= {f"seed {seed}" for seed in range(5)}
    assert [name[:6] for name in reader.versions()] == [f"{number:06d}" for number in range(1, 6)]
    assert reader.current() == reader.versions()[-1]
    assert_whole(reader)


def test_a_document_beside_the_versions_is_replaced_whole(place: Place):
    registry = place.registry()
    assert registry.read("retraining/report.json") is None
    for content in (b"a longer one", b"short"):
        registry.write("retraining/report.json", content)
        assert place.registry("another").read("retraining/report.json") == content


def test_the_manifest_alone_is_enough_to_say_what_a_version_is(place: Place):
    registry = place.published(1)
    version = registry.require_current()
    for key in place.stored():
        if version in key and not key.endswith(MANIFEST):
            place.delete(key)
    assert place.registry("another").manifest(version).counts.users == 10

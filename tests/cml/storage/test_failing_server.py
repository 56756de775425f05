"""An S3 server that fails half-way: the pointer names whole versions only, the next try succeeds, the message helps."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from cml import artifact
from cml.errors import ArtifactError, MissingExtraError, StorageError
from cml.storage.base import VERSIONS
from cml.storage.bucket import Bucket
from cml.storage.cache import Cache
from cml.storage.objects import Objects
from cml.storage.turns import Timing
from tests.cml.storage.places import PATIENT, Place, assert_whole, flipped
from tests.s3 import Proxy

pytestmark = pytest.mark.slow

UPLOADS = r"PUT /\w+/models/versions/"
POINTER = r"PUT /\w+/models/CURRENT"
DOWNLOADS = r"GET /\w+/models/versions/\S+safetensors"
FILES = 6  # of a version, besides its manifest


@pytest.mark.parametrize(
    ("failing", "healthy", "how"),
    [
        (UPLOADS, 4, "close"),
        (UPLOADS, FILES, "500"),  # the manifest
        (DOWNLOADS, 3, "close"),  # reading back
        (POINTER, 0, "500"),
    ],
)
def test_a_publication_that_failed_half_way_changed_nothing_and_is_repeated_by_the_same_command(
    unreliable: tuple[Place, Proxy], failing: str, healthy: int, how: str
):
    place, proxy = unreliable
    registry = place.published(1)
    old = registry.require_current()
    proxy.fail(failing, healthy=healthy, how=how)
    with pytest.raises(StorageError) as caught:
        registry.publish(place.run(1))
    proxy.recover()
    for part in (f"{place.where}/", "cannot be", "check the URL", f"the current version is {old}"):
        assert part in str(caught.value)
    assert registry.current() == old
    assert registry.versions()[0] == old
    assert len(registry.versions()) == (2 if failing == POINTER else 1)
    assert_whole(registry)
    new = registry.publish(place.run(1))
    assert registry.versions() == [old, new] == [old, registry.current()]
    assert_whole(place.registry("another"))


def test_a_publisher_killed_while_it_uploads_leaves_whole_versions_and_the_next_one_takes_over(
    unreliable: tuple[Place, Proxy],
):
    place, proxy = unreliable
    registry = place.published(1)
    old = registry.current()
    proxy.fail(UPLOADS, healthy=FILES, how="silence")  # stuck at the manifest
    command = [sys.executable, "-m", "cml", "models", "publish", place.run(1), "--to", str(place.where)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as publisher:
        while sum(re.match(UPLOADS, request) is not None for request in list(proxy.seen)) <= FILES:
            assert publisher.poll() is None, publisher.stdout and publisher.stdout.read()
            time.sleep(0.02)
        publisher.send_signal(signal.SIGKILL)
    proxy.recover()
    assert (registry.versions(), registry.current()) == ([old], old)
    after = place.registry(timing=Timing(beat=0.2, stale=1.0)).publish(place.run(2))
    assert registry.versions() == [old, after]
    assert not [key for key in place.stored() if "/000002-" in key and after not in key]
    assert_whole(registry)


def test_a_download_that_failed_half_way_goes_on_with_what_is_missing(unreliable: tuple[Place, Proxy]):
    place, proxy = unreliable
    place.published(1)
    reader = place.registry("reader")
    proxy.fail(DOWNLOADS, healthy=4, how="close")
    with pytest.raises(StorageError, match=r"versions/\S+: cannot be read"):
        reader.load()
    proxy.recover()
    there = place.registry(
        "reader"
    )  # the same host, another process: it need not pause before it tries again
    proxy.seen.clear()
    assert there.load().data == {"fingerprint": "seed 0"}
    fetched = [request for request in proxy.seen if re.match(DOWNLOADS, request)]
    assert 1 <= len(fetched) <= FILES - 2


def test_a_version_that_could_not_be_fetched_is_left_alone_for_a_while(s3: Place):
    version = s3.published(1).require_current()
    key = f"{VERSIONS}/{version}/{artifact.VECTORS}"
    now = [0.0]
    bucket = Bucket(str(s3.where), Cache(s3.folder / "cache", 10**9), PATIENT, clock=lambda: now[0])
    s3.change(key, flipped)
    for later in (0.0, 1.0):
        now[0] += later
        with pytest.raises(ArtifactError, match="damaged"), bucket.opened(version, None):
            pass
    s3.change(key, flipped)
    now[0] += 1.9  # after the second failure the pause is longer
    with pytest.raises(ArtifactError, match="damaged"), bucket.opened(version, None):
        pass
    now[0] += 0.2
    with bucket.opened(version, None) as directory:
        assert (directory / artifact.VECTORS).read_bytes() == s3.read(key)


def test_two_processes_that_need_one_version_fetch_it_once(unreliable: tuple[Place, Proxy]):
    place, proxy = unreliable
    place.published(1)
    proxy.seen.clear()
    code = f"""
from pathlib import Path
from cml.registry import Registry
from cml.storage.cache import Cache
print(Registry({str(place.where)!r}, cache=Cache(Path({str(place.folder / "shared")!r}), 10**9)).load().data)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert {process.communicate(timeout=120)[0] for process in running} == {"{'fingerprint': 'seed 0'}\n"}
    fetched = [request.split("?")[0] for request in proxy.seen if re.match(DOWNLOADS, request)]
    assert len(fetched) == len(set(fetched)) == FILES


def test_a_damaged_object_is_refused_by_name_and_the_version_before_is_still_there(s3: Place):
    registry = s3.published(1)
    reader = s3.registry("reader")
    held = reader.load()
    new = registry.publish(s3.run(1))
    key = f"{VERSIONS}/{new}/{artifact.VECTORS}"
    s3.change(key, flipped)
    for _ in range(2):
        with pytest.raises(ArtifactError, match=f"{s3.where}/{key}: damaged"):
            reader.load()
    assert held.item_vectors.sum() == reader.load(reader.previous()).item_vectors.sum()
    s3.change(key, flipped)
    assert s3.registry("reader").load().data == {"fingerprint": "seed 1"}


def test_the_cache_of_a_reader_keeps_its_bound(s3: Place):
    s3.published(4)
    size = sum(path.stat().st_size for path in s3.run(0).iterdir())
    reader = s3.registry("small", limit=int(2.5 * size))
    for version in reader.versions():
        reader.load(version)
    held = [path for path in (s3.folder / "caches" / "small").rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in held) <= 2.5 * size


def test_a_server_that_says_nothing_is_given_up_in_time(unreliable: tuple[Place, Proxy]):
    place, proxy = unreliable
    objects = Objects(str(place.where), patience=0.3)
    proxy.fail("GET", how="silence")
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"CURRENT: cannot be read: no answer within 0\.3 s"):
        objects.read("CURRENT")
    assert time.monotonic() - began < 3


def test_a_bucket_that_does_not_exist_is_told_where_it_matters(s3: Place):
    nowhere = Place("s3://no-such-bucket/models", s3.folder)
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/models/locks/.*bucket does not exist"):
        nowhere.registry().publish(s3.run(0))


def test_a_driver_that_is_not_installed_is_told_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r"gs://bucket/models: .*cml-recommender\[gcs\]"):
        Objects("gs://bucket/models")
    with pytest.raises(StorageError, match="nix://bucket: not a URL of a registry"):
        Objects("nix://bucket")


def test_a_password_in_a_url_is_not_shown():
    assert Objects("memory://ann:secret@host/models").url == "memory://ann:***@host/models"

"""Copies on a host: complete before they are found, fetched once for all, of bounded size, never pulled away."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cml.errors import ArtifactError, ConfigError, StorageError
from cml.storage.cache import Cache, _locked

NAMES = [f"{number:06d}-0123456789ab" for number in range(1, 6)]


def filled(cache: Cache, name: str, size: int = 1000, place: str = "here") -> Path:
    def fill(staging: Path) -> None:
        cache.make_room(size, staging)
        (staging / "content").write_bytes(b"x" * size)

    with cache.opened(place, name, fill, None) as directory:
        return directory


def bytes_in(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def names_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/*"))


def age(cache: Cache, name: str, seconds: float, place: str = "here") -> None:
    path = cache.root / place / name
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_what_was_not_opened_for_longest_goes_and_the_bound_holds(tmp_path):
    cache = Cache(tmp_path, limit=3000)
    for number, name in enumerate(NAMES[:3]):
        filled(cache, name)
        age(cache, name, 1000 - number)
    filled(cache, NAMES[0])  # opened again: now the youngest
    filled(cache, NAMES[3], place="another registry")
    assert names_in(tmp_path) == sorted([NAMES[0], NAMES[2], NAMES[3]])
    filled(cache, NAMES[4], size=2500)
    assert names_in(tmp_path) == [NAMES[4]]
    assert bytes_in(tmp_path) <= 3000


def test_what_is_in_use_stays_although_the_bound_is_passed(tmp_path):
    cache = Cache(tmp_path, limit=1500)
    with cache.opened(
        "here", NAMES[0], lambda staging: (staging / "a").write_bytes(b"x" * 1000), None
    ) as used:
        age(cache, NAMES[0], 1000)
        filled(cache, NAMES[1])
        assert (used / "a").exists()
    filled(cache, NAMES[2])
    assert names_in(tmp_path) == [NAMES[2]]


def test_a_fetch_that_failed_shows_nothing_and_the_next_goes_on_with_what_is_there(tmp_path):
    cache, seen = Cache(tmp_path, 10_000), []

    def fill(staging: Path) -> None:
        seen.append(sorted(path.name for path in staging.iterdir()))
        (staging / "first").write_bytes(b"1")
        if len(seen) == 1:
            raise ArtifactError("the second is damaged")
        (staging / "second").write_bytes(b"2")

    with pytest.raises(ArtifactError), cache.opened("here", NAMES[0], fill, None):
        pass
    assert not (tmp_path / "here" / NAMES[0]).exists()
    with cache.opened("here", NAMES[0], fill, None) as directory:
        assert sorted(path.name for path in directory.iterdir()) == ["first", "second"]
    assert seen == [[], ["first"]]


def test_what_a_killed_process_left_half_fetched_counts_and_goes(tmp_path):
    cache = Cache(tmp_path, limit=1500)
    code = f"""
        import os
        from pathlib import Path
        from cml.storage.cache import Cache
        def fill(staging):
            (staging / "half").write_bytes(b"x" * 1000)
            os._exit(9)
        with Cache(Path({str(tmp_path)!r}), 1500).opened("here", {NAMES[0]!r}, fill, None):
            pass
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == 9
    assert names_in(tmp_path) == [f".staging-{NAMES[0]}"]
    filled(cache, NAMES[1])
    assert names_in(tmp_path) == [NAMES[1]]


def test_several_processes_that_want_one_copy_fetch_it_once(tmp_path):
    code = f"""
        import sys, time
        from pathlib import Path
        from cml.storage.cache import Cache
        def fill(staging):
            print("fetched")
            for number in range(20):
                (staging / str(number)).write_bytes(b"x" * 1000)
                time.sleep(0.005)
        with Cache(Path({str(tmp_path)!r}), 10**6).opened("here", {NAMES[0]!r}, fill, None) as directory:
            assert len(list(directory.iterdir())) == 20
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert "".join(said) == "fetched\n"


def test_copies_that_are_opened_while_others_need_their_room_are_always_whole(tmp_path):
    cache = Cache(tmp_path, limit=2500)

    def work(start: int) -> None:
        def fill(staging: Path) -> None:
            cache.make_room(1000, staging)
            for part in range(10):
                (staging / str(part)).write_bytes(b"x" * 100)

        for step in range(60):
            with cache.opened("here", NAMES[(start + step) % 5], fill, None) as directory:
                for part in range(10):
                    assert (directory / str(part)).stat().st_size == 100

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert not [name for name in names_in(tmp_path) if name.startswith(".removed")]


def test_a_directory_that_another_one_replaced_just_before_it_was_locked_does_not_pass_for_it(
    tmp_path, monkeypatch
):
    (tmp_path / "copy").mkdir()
    real, replaced = fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not replaced:
            replaced.append((tmp_path / "copy").rename(tmp_path / "grave"))
            (tmp_path / "copy").mkdir()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    descriptor = _locked(tmp_path / "copy", fcntl.LOCK_SH)
    assert descriptor is not None
    assert os.path.samestat(os.fstat(descriptor), (tmp_path / "copy").stat())
    os.close(descriptor)


def test_a_damaged_copy_is_fetched_again(tmp_path):
    cache = Cache(tmp_path, 10_000)
    (filled(cache, NAMES[0]) / "content").write_bytes(b"damaged")

    def check(directory: Path) -> None:
        if (directory / "content").read_bytes() == b"damaged":
            raise ArtifactError("damaged")

    with cache.opened(
        "here", NAMES[0], lambda staging: (staging / "content").write_bytes(b"right"), check
    ) as directory:
        assert (directory / "content").read_bytes() == b"right"


def test_a_cache_that_cannot_be_written_says_where_it_may_be_moved(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file.*CML_CACHE_DIR"):
        filled(Cache(tmp_path / "file" / "cache", 1000), NAMES[0])


def test_the_environment_says_where_and_how_large(tmp_path):
    def made(**environment: str) -> tuple[str, int]:
        cache = Cache.from_environment(environment)
        return str(cache.root), cache.limit

    assert made(HOME="/home/ann") == ("/home/ann/.cache/cml-recommender", 10**10)
    assert made(XDG_CACHE_HOME="/c", HOME="/home/ann")[0] == "/c/cml-recommender"
    assert made(CML_CACHE_DIR="/x", CML_CACHE_SIZE="1.5 GB") == ("/x", 1_500_000_000)
    assert made(CML_CACHE_DIR="/x", CML_CACHE_SIZE="800000") == ("/x", 800_000)
    for wrong in ("much", "-1", "5 apples"):
        with pytest.raises(ConfigError, match=f"CML_CACHE_SIZE={wrong}"):
            made(CML_CACHE_SIZE=wrong)

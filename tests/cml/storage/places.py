"""Registries of every kind at fresh places, and hands that reach behind their backs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

from cml import artifact
from cml.registry import Registry
from cml.storage.cache import Cache
from cml.storage.turns import Timing
from tests.cml.small_models import content

PATIENT = Timing(beat=0.2, stale=30.0)  # for tests where nobody dies, on a machine that may be busy


@dataclass(frozen=True)
class Place:
    """Where a registry is, and a folder of the test's own."""

    where: Path | str
    folder: Path

    def registry(self, host: str = "host", limit: int = 1 << 30, timing: Timing = PATIENT) -> Registry:
        """The registry as a host sees it: each has its own cache."""
        return Registry(self.where, cache=Cache(self.folder / "caches" / host, limit), timing=timing)

    def run(self, seed: int = 0, **options: int) -> Path:
        """An artifact that is not published."""
        directory = self.folder / f"run{seed}"
        if not directory.exists():
            artifact.write(content(**{"n_users": 10, "n_items": 40, "seed": seed} | options), directory)
        return directory

    def published(self, versions: int) -> Registry:
        registry = self.registry()
        for seed in range(versions):
            registry.publish(self.run(seed))
        return registry

    def stored(self) -> list[str]:
        """The keys of all files or objects, as the storage has them."""
        files, root = _reached(str(self.where))
        return sorted(path.removeprefix(root).lstrip("/") for path in files.find(root))

    def read(self, key: str) -> bytes:
        files, root = _reached(str(self.where))
        return files.cat_file(f"{root}/{key}")

    def write(self, key: str, raw: bytes) -> None:
        files, root = _reached(str(self.where))
        files.pipe_file(f"{root}/{key}", raw)

    def delete(self, key: str) -> None:
        files, root = _reached(str(self.where))
        files.rm_file(f"{root}/{key}")

    def change(self, key: str, how: Callable[[bytes], bytes]) -> None:
        self.write(key, how(self.read(key)))


@cache
def _reached(where: str) -> tuple[Any, str]:
    """A driver of the test's own, and its root."""
    return fsspec.url_to_fs(where, use_listings_cache=False, skip_instance_cache=True)


def flipped(raw: bytes) -> bytes:
    """One bit pattern of the byte in the middle turned over."""
    changed = bytearray(raw)
    changed[len(raw) // 2] ^= 0x41
    return bytes(changed)


def assert_whole(registry: Registry) -> None:
    """What every reader may rely on, whatever happened to a writer."""
    for version in registry.versions():
        registry.verify(version)
    current = registry.current()
    assert current is None or current in registry.versions()
    if current:
        registry.load(current)

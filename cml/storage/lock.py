"""One retraining at a time. The kernel drops a dead process's lock; what the file says is for people."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cml.durable import naming
from cml.errors import LockedError

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def only_one(path: Path, tell: Callable[[str], None] = lambda _: None) -> Iterator[Callable[[], None]]:
    """Hold the lock at `path` for the block. Raises LockedError while another process does.

    A lock whose holder is gone (killed, or the machine was started again) is taken over, and `tell` hears of it.
    It works between containers that share the directory, whose process numbers mean nothing to each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"{path}: another retraining is at work ({_who(_read(path))}); wait for it, or stop it"
            ) from None
        left = _read(path)
        if left:
            again = "" if left.get("boot") == _boot() else ", and the machine was started again since"
            tell(f"the last retraining ({_who(left)}) did not end by itself{again}; its lock is taken over")
        _write(path, {"pid": os.getpid(), "boot": _boot()})
        try:
            yield lambda: None  # nobody can take it from a process that lives
        finally:
            os.truncate(path, 0)


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, value: dict[str, Any]) -> None:
    os.truncate(path, 0)
    with naming(path):
        path.write_text(json.dumps(value), encoding="utf-8")  # in place: the lock is on this very file


def _who(said: dict[str, Any]) -> str:
    return f"process {said['pid']}" if "pid" in said else "an unknown process"

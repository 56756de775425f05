"""What a retraining is asked to do, and by what an interrupted one is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cml.config import PublishConfig, RunConfig
from cml.errors import DataError


@dataclass(frozen=True)
class Order:
    """Everything that decides what a retraining does, besides the registry and the clock."""

    config: RunConfig
    files: tuple[Path, ...] = ()
    events: str | None = None  # URL of the event store
    no_events: bool = False  # also where the current version learned from events
    items: Path | None = None
    item_kinds: Mapping[str, str] = field(default_factory=dict)
    users: Path | None = None
    user_kinds: Mapping[str, str] = field(default_factory=dict)
    judge_share: float = 0.1
    min_new: int = 1  # liked pairs that the current version has not seen, below which nothing happens
    cold: bool = False
    events_only: bool = False  # also where the current version learned from files, too
    force: bool = False  # also without anything new, or without most of what files held
    strict: bool = False
    gate: float | None = None  # of this round, instead of publish.tolerance
    confidence: float | None = None  # instead of publish.confidence

    @property
    def rule(self) -> PublishConfig:
        """What decides over publication: what was said for this round, else the settings, which versions hand on."""
        said = {"tolerance": self.gate, "confidence": self.confidence}
        return self.config.publish.model_copy(
            update={name: value for name, value in said.items() if value is not None}
        )

    def identity(self, before: str | None) -> str:
        """The same for the same order over the same files and the same current version.

        Raises DataError for a file that is not there.
        """
        files = [_stamp(path) for path in (*self.files, self.items, self.users) if path]
        said: dict[str, Any] = {
            name: value
            for name, value in vars(self).items()
            if name not in ("config", "files", "items", "users")
        }
        parts = [
            before,
            files,
            said | {"item_kinds": dict(self.item_kinds), "user_kinds": dict(self.user_kinds)},
            self.config.model_dump(mode="json"),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _stamp(path: Path) -> list[str | int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}; check the path") from None
    return [str(path.absolute()), found.st_size, found.st_mtime_ns]

"""Which versions of a registry may go: by their number, their age, and the erased users whose data they hold."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from cml.errors import ArtifactError
from cml.events.meaning import still_held
from cml.events.store import EventStore
from cml.events.values import Marks
from cml.registry import Registry


@dataclass(frozen=True)
class Rules:
    """What goes. With both `keep` and `older_than` (seconds), a version must be beyond the one and the other."""

    keep: int | None
    older_than: float | None
    erased: bool  # also what holds erased users, whatever the other two say
    now: datetime


@dataclass(frozen=True)
class Happened:
    """What the event store says: (digest, number) of all erasures, and the candidate of a running experiment."""

    erased: tuple[tuple[str, int], ...] = ()
    candidate: str | None = None


@dataclass(frozen=True)
class Judged:
    """A version, why it should go, and as what it stays nevertheless."""

    version: str
    reasons: tuple[str, ...]
    kept_as: str | None  # "current", "previous" or "candidate"
    erased_users: int  # that it still holds

    @property
    def goes(self) -> bool:
        """Whether it may be removed."""
        return bool(self.reasons) and self.kept_as is None


def what_happened(url: str | None) -> Happened:
    """Read the event store, if there is one. Raises EventStoreError."""
    if url is None:
        return Happened()
    with closing(EventStore(url)) as store:
        experiment = store.experiment()
        return Happened(
            store.changes(Marks(), with_users=False).erased,
            None if experiment is None else experiment.candidate,
        )


def judge(registry: Registry, rules: Rules, happened: Happened) -> list[Judged]:
    """Every version, oldest first. Raises ArtifactError for one whose erased users cannot be looked for."""
    names = registry.versions()
    stay = {happened.candidate: "candidate", registry.fallback(): "previous", registry.current(): "current"}
    found = []
    for newer, name in zip(range(len(names) - 1, -1, -1), names, strict=True):
        erased = _erased_users(registry, name, happened) if rules.erased else 0
        reasons = _count_and_age(registry, name, newer, rules)
        if erased:
            reasons.append(f"holds {erased} erased user{'s' if erased > 1 else ''}")
        found.append(Judged(name, tuple(reasons), stay.get(name), erased))
    return found


def _count_and_age(registry: Registry, name: str, newer: int, rules: Rules) -> list[str]:
    """Why a version with so many newer ones should go; nothing unless all that is asked for holds."""
    reasons = []
    if rules.keep is not None:
        if newer < rules.keep:
            return []
        reasons.append(f"{newer} newer")
    if rules.older_than is not None:
        try:
            created_at = registry.manifest(name).created_at
        except ArtifactError:
            return []  # of unknown age
        age = (rules.now - datetime.fromisoformat(created_at)).total_seconds()
        if age <= rules.older_than:
            return []
        reasons.append(f"{age / 86400:.1f} days old")
    return reasons


def _erased_users(registry: Registry, name: str, happened: Happened) -> int:
    artifact = registry.load(name, verify=False)
    return sum(1 for _ in still_held(artifact.users, artifact.data, happened.erased))

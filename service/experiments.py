"""A/B experiments: who gets the candidate version, and how often each user was shown a list."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from cml.events.values import Experiment
from cml.experiments import CANDIDATE, CONTROL, marker
from cml.snapshot import Snapshot
from service.asked import LONGEST_ID
from service.live import Live
from service.store import SnapshotStore

_WHOLE = 1 << 64


def variant_of(experiment: str, user_id: str, share: float) -> str:
    """The user's variant: the same in every process, independent between experiments."""
    digest = blake2b(
        user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=experiment.encode()
    ).digest()
    return CANDIDATE if int.from_bytes(digest, "big") < share * _WHOLE else CONTROL


class Turn(NamedTuple):
    """Who answers a user's list: a version, and the experiment's variant that it is, if any."""

    snapshot: Snapshot
    variant: str | None = None
    mark: str = "."  # for the list's id
    counts_as: tuple[str, str, str] | None = None  # experiment, variant, user id


class Shown(NamedTuple):
    """Lists shown since the last time, by (experiment, variant, user_id), after an erasure of this number."""

    lists: dict[tuple[str, str, str], int]
    erasure: int


class Assignment:
    """Which version answers a user. For one thread."""

    def __init__(self, store: SnapshotStore, live: Live) -> None:
        self._store = store
        self._live = live
        self._shown: dict[tuple[str, str, str], int] = {}
        self._erasure = 0  # the last one before the first of these lists

    def running(self) -> Experiment | None:
        """The experiment that runs, whose candidate is loaded and not the current version by now, if any."""
        experiment = self._live.experiment
        if experiment is None or experiment.candidate in (None, self._store.current.version):
            return None
        return experiment if self._store.get(experiment.candidate or "") is not None else None

    def of(self, user_id: str | None, begun: str | None = None) -> Turn:
        """The version that answers a user, or nobody in particular. Raises Problem 503 while there is none.

        `begun`: the version of a listing that goes on. It is no variant's where the user has another version by now.
        """
        experiment = self.running()
        if experiment is None or experiment.candidate is None or user_id is None or len(user_id) > LONGEST_ID:
            return Turn(self._store.current)
        variant = variant_of(experiment.name, user_id, experiment.share)
        snapshot = self._store.get(experiment.candidate) if variant == CANDIDATE else self._store.current
        if snapshot is None or begun not in (None, snapshot.version):
            return Turn(self._store.current)
        mark = f"{marker(experiment.name)}{variant}."
        return Turn(snapshot, variant, mark, (experiment.name, variant, user_id))

    def note(self, counts_as: tuple[str, str, str]) -> None:
        """A list was made: only now, since a request may be refused after it was this variant's turn."""
        if not self._shown:
            self._erasure = self._live.newest_erasure
        self._shown[counts_as] = self._shown.get(counts_as, 0) + 1

    def take_shown(self) -> Shown:
        """Lists shown since the last call."""
        shown, self._shown = self._shown, {}
        return Shown(shown, self._erasure)

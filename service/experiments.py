"""A/B experiments: who gets the candidate version, and how often each user was shown a list."""

from __future__ import annotations

from hashlib import blake2b

from cml.events.values import Experiment
from cml.experiments import CANDIDATE, CONTROL, marker
from cml.snapshot import Snapshot
from service.live import Live
from service.store import SnapshotStore

_WHOLE = 1 << 64


def variant_of(experiment: str, user_id: str, share: float) -> str:
    """The user's variant: the same in every process, independent between experiments."""
    digest = blake2b(
        user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=experiment.encode()
    ).digest()
    return CANDIDATE if int.from_bytes(digest, "big") < share * _WHOLE else CONTROL


class Assignment:
    """Which version answers a user. For one thread."""

    def __init__(self, store: SnapshotStore, live: Live) -> None:
        self._store = store
        self._live = live
        self._shown: dict[tuple[str, str, str], int] = {}

    def running(self) -> Experiment | None:
        """The experiment that runs and whose candidate is loaded, if any."""
        experiment = self._live.experiment
        if (
            experiment is None
            or experiment.candidate is None
            or self._store.get(experiment.candidate) is None
        ):
            return None
        return experiment

    def of(self, user_id: str | None, begun: str | None = None) -> tuple[Snapshot, str | None, str]:
        """The snapshot that answers, the variant (None without an experiment), the mark for the list's id.

        `begun`: the version of a listing that goes on. It is no variant's where the user has another version by now.
        """
        experiment = self.running()
        if experiment is None or experiment.candidate is None or user_id is None:
            return self._store.current, None, "."
        variant = variant_of(experiment.name, user_id, experiment.share)
        snapshot = self._store.get(experiment.candidate) if variant == CANDIDATE else self._store.current
        if snapshot is None or begun not in (None, snapshot.version):
            return self._store.current, None, "."
        key = (experiment.name, variant, user_id)
        self._shown[key] = self._shown.get(key, 0) + 1
        return snapshot, variant, f"{marker(experiment.name)}{variant}."

    def take_shown(self) -> dict[tuple[str, str, str], int]:
        """Lists shown since the last call, by (experiment, variant, user_id)."""
        shown, self._shown = self._shown, {}
        return shown

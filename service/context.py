"""The parts that routes work with, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from cml.registry import Registry
from service.answers import Answers
from service.catalogue import ItemLookup
from service.lifecycle import Lifecycle
from service.live import Live
from service.metrics import Metrics
from service.settings import Settings
from service.store import SnapshotStore


@dataclass(frozen=True)
class Context:
    """One service process."""

    settings: Settings
    lifecycle: Lifecycle
    registry: Registry
    metrics: Metrics
    store: SnapshotStore
    live: Live
    answers: Answers
    catalogue: ItemLookup

"""The parts that routes work with, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from service.administration import Administration
from service.answers import Answers
from service.catalogue import ItemLookup
from service.intake import Intake
from service.lifecycle import Lifecycle
from service.live import Live
from service.losses import Losses
from service.metrics import Metrics
from service.pages import Pages
from service.records import Records
from service.settings import Settings
from service.store import SnapshotStore


@dataclass(frozen=True)
class Context:
    """One service process."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    store: SnapshotStore
    live: Live
    losses: Losses
    pages: Pages
    answers: Answers
    catalogue: ItemLookup
    intake: Intake
    records: Records
    administration: Administration

"""Prometheus metrics. With several workers each scrape adds up all of them, through files they share.

Set `PROMETHEUS_MULTIPROC_DIR` before this module is imported to have that; the supervisor does. Gauges that
describe one process then say the largest value among the living ones.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.settings import SHARED_METRICS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FILE_BYTES = 1 << 20  # what the client library gives each file at first; a worker needs about a tenth of it
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Everything that the service counts. One object per app, so that tests do not share counts."""

    def __init__(self) -> None:
        _reserve_room()
        disable_created_metrics()  # a second series for each counter, which nobody asks for
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "cml_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "cml_request_seconds", "Time to answer", ["route"], registry=self.registry, buckets=_BUCKETS
        )
        self.answers = Counter(
            "cml_answers",
            "Lists answered, by how they were made",
            ["strategy", "variant"],
            registry=self.registry,
        )
        self.filtered = Counter(
            "cml_filtered_answers", "Lists with a filter or an allow list", registry=self.registry
        )
        self.swaps = Counter("cml_model_swaps", "Versions taken into use", registry=self.registry)
        self.load_failures = Counter(
            "cml_model_load_failures", "Versions that could not be loaded", registry=self.registry
        )
        self.events = Counter("cml_events", "Events taken", ["outcome"], registry=self.registry)
        self.model = self._gauge("cml_model_in_use", "1 for the version in use", ["version"])
        self.model_created = self._gauge(
            "cml_model_created_seconds", "When the version in use was made, seconds since 1970"
        )
        self.index_recall = self._gauge("cml_index_recall", "Measured recall of the index in use")
        self.event_backlog = self._gauge("cml_event_backlog", "Submissions waiting to be written")
        self.event_seen = self._gauge(
            "cml_event_seen_seconds", "When events were last looked at, seconds since 1970"
        )
        self.event_store_lost = self._gauge(
            "cml_event_store_lost",
            "1 where the event store is not the one that was here before, or an older one",
        )
        self.reload_failing = self._gauge(
            "cml_reload_failing", "1 while CURRENT or a candidate cannot be loaded"
        )
        self._version: str | None = None
        self._strategies: dict[tuple[str, str | None], Counter] = {}
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is a template such as `/v1/items/{item_id}`, never a path."""
        key = (method, route, status)
        found = self._children.get(key)
        if found is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._children[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def answered(self, strategy: str, variant: str | None, restricted: bool) -> None:
        """Count one list, by how it was made and for whom."""
        key = (strategy, variant)
        found = self._strategies.get(key)
        if found is None:
            found = self._strategies[key] = self.answers.labels(strategy, variant or "")
        found.inc()
        if restricted:
            self.filtered.inc()

    def in_use(self, version: str, created: float, recall: float) -> None:
        """Say which version answers now."""
        if self._version is not None:
            self.model.labels(self._version).set(0)
        self._version = version
        self.model.labels(version).set(1)
        self.model_created.set(created)
        self.index_recall.set(recall)

    def page(self) -> bytes:
        """What a scrape gets."""
        directory = os.environ.get(SHARED_METRICS)
        if not directory:
            return generate_latest(self.registry)
        combined = CollectorRegistry()
        MultiProcessCollector(combined, path=directory)
        return generate_latest(combined)

    def _gauge(self, name: str, text: str, labels: list[str] | None = None) -> Gauge:
        return Gauge(name, text, labels or [], registry=self.registry, multiprocess_mode="livemax")


def _reserve_room() -> None:
    """Make this process's files of shared metrics, with their blocks. Raises OSError where there is no room.

    The library makes them with holes and maps them: a worker that counts into a hole when the disk has run full
    would be ended by the kernel (SIGBUS), in the middle of answers.
    """
    directory = os.environ.get(SHARED_METRICS)
    for kind in ("counter", "histogram", "gauge_livemax") if directory else ():
        file = Path(directory or "", f"{kind}_{os.getpid()}.db")
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _FILE_BYTES)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(file)) from error
        finally:
            os.close(descriptor)


def forget_process(pid: int) -> None:
    """Drop a dead worker's gauges; its counts stay."""
    directory = os.environ.get(SHARED_METRICS)
    if directory and Path(directory).is_dir():
        mark_process_dead(pid, directory)

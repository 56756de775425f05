"""Train again on fresh data, judge the result against the version that answers now, publish or refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cml.artifact import Artifact, load
from cml.config import RunConfig
from cml.data.dataset import Dataset
from cml.data.split import split
from cml.pipeline import ARTIFACT, ReadCatalogue, train
from cml.registry import Registry
from cml.retraining.gate import Verdict, decide
from cml.training.history import Epoch


@dataclass(frozen=True)
class Retraining:
    """What came of it: `version` is the new current one, None when the candidate was refused."""

    verdict: Verdict
    version: str | None
    before: str | None  # the version that was current
    run: Path


def retrain(
    registry: Registry,
    run: Path,
    data: Dataset,
    config: RunConfig,
    *,
    catalogue: ReadCatalogue | None = None,
    listen: Callable[[Epoch], None] = lambda _: None,
) -> Retraining:
    """Train on `data` in the directory `run`, and publish the model if it is no worse than the current version.

    Twice, pairs are held out as `config.split` says: to judge both models on, and from the rest, to choose the
    epoch. The candidate is refitted on all but the former, so that what is published is what was judged.
    Raises CmlError.
    """
    before = registry.current()
    judged = split(data, config.split, config.rng("split"))
    rest = judged.train.compact()
    chosen = split(rest, config.split, config.rng("validation"))
    train(
        run,
        chosen.train.compact(),
        config,
        valid=chosen.held_out,
        refit_on=rest,
        catalogue=catalogue,
        listen=listen,
    )
    candidate, current = load(run / ARTIFACT), _current(registry)
    verdict = decide(
        candidate, current, judged.held_out, config.publish, config.rng("gate"), threads=config.threads
    )
    version = registry.publish(run / ARTIFACT) if verdict.accepted else None
    return Retraining(verdict, version, before, run)


def _current(registry: Registry) -> Artifact | None:
    return registry.load() if registry.current() else None

"""How long a retraining takes from the version before, and from nothing, to the same quality on the next slice of time.

    python -m benchmarks.warm_start --data DIR [--data DIR ...] [--seeds 3] [--set KEY=VALUE ...]

The pairs are sorted by time. A version learns the first half, then the data grow by a tenth at a time. Each time one
training starts cold, as `cml train` does, and one at the vectors of the version before, as `cml retrain` does; both
are judged after every epoch on the tenth that follows. Told is the time to the cold training's best epoch, and the
time in which the warm one reaches that quality, from the beginning of each (its start and its validations included).
The version before the next tenth is the warm one. Results go to benchmarks/results/warm-start-NAME.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.options import parser_of
from benchmarks.records import birthplace, write_record
from cml.config import RunConfig, load_config
from cml.content import Content
from cml.data.dataset import Dataset
from cml.data.reading import read_interactions
from cml.pipeline import content, validation
from cml.retraining.learning import warm_start, warmed
from cml.retraining.warm import as_soft
from cml.training.history import Epoch
from cml.training.search_space import changed
from cml.training.space import Space
from cml.training.trainer import Fit, Validate, fit

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the pairs in the order of time
CHOOSING = 0.45  # the first version's epoch is chosen on what follows


@dataclass(frozen=True)
class Run:
    """A training, and when each of its epochs was over and judged: (seconds since it began, metric)."""

    fit: Fit
    reached: tuple[tuple[float, float], ...]
    start: float  # seconds until the first epoch began

    @property
    def best(self) -> float:
        return max(value for _, value in self.reached)

    def seconds_to(self, value: float) -> float | None:
        """How long it took to be at least so good; None: it never was."""
        return next((seconds for seconds, found in self.reached if found >= value), None)


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    torch.set_num_threads(given.threads)
    for directory in given.data:
        rounds = []
        for row in measured(directory, given):
            rounds.append(row)
            print(f"{directory.name}: {row}", flush=True)
        record = {
            "data": directory.name,
            "settings": given.set,
            "metric": rounds[0]["metric"],
            "rounds": rounds,
            "threads": given.threads,
            **summary(rounds),
        }
        record |= birthplace("benchmarks.warm_start", words, given.data)
        print(write_record("warm-start", directory.name, record, given.results))


def measured(directory: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """For every seed and every tenth of the data: both trainings side by side."""
    for seed in range(given.seeds):
        config = load_config(None, tuple(given.set), seed=seed, threads=given.threads)
        if given.like_threshold is not None:
            config = changed(config, "data.like_threshold", given.like_threshold)
        data = in_order(read_interactions([directory / "interactions.csv.gz"], config.data).dataset)
        version = _first(data, config)
        for learned, following in pairwise(SHARES[1:]):
            known, later = until(data, learned), between(data, learned, following)
            validate = validation(known, later.over(known.users, known.items), config)
            cold = run(known, config, validate)
            gentle = warmed(as_soft(version, config))
            warm = run(known, gentle, validate, partial(warm_start, version, known, config, None))
            version = content(known, warm.fit.space, warm.fit.config, {})
            yield {"seed": seed, "pairs": len(known), "metric": config.train.metric, **compared(cold, warm)}


def compared(cold: Run, warm: Run) -> dict[str, Any]:
    """One round: times to the cold training's best value, values, and where the time went."""
    of_cold, of_warm = cold.seconds_to(cold.best), warm.seconds_to(cold.best)
    assert of_cold is not None
    return {
        "cold": {"best": round(cold.best, 5), "seconds": round(of_cold, 3)} | _told(cold),
        "warm": {"best": round(warm.best, 5), "seconds": of_warm and round(of_warm, 3)} | _told(warm),
        "ratio": of_warm and round(of_warm / of_cold, 3),
    }


def _told(one: Run) -> dict[str, Any]:
    return {
        "start": round(one.start, 3),
        "total": round(one.reached[-1][0], 3),
        "epochs": len(one.reached),
        "best_epoch": one.fit.best_epoch,
    }


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over all rounds: how often the warm training got there, and in which part of the time."""
    reached = [row["ratio"] for row in rounds if row["ratio"] is not None]
    return {
        "reached": f"{len(reached)} of {len(rounds)}",
        "median_ratio": round(float(np.median(reached)), 3) if reached else None,
        "worst_ratio": max(reached, default=None),
        "quality": round(mean(row["warm"]["best"] / row["cold"]["best"] for row in rounds), 4),
        "whole_run": round(mean(row["warm"]["total"] / row["cold"]["total"] for row in rounds), 3),
    }


def run(
    data: Dataset, config: RunConfig, validate: Validate, start: Callable[[], Space] | None = None
) -> Run:
    """A training with its clock."""
    reached: list[tuple[float, float]] = []
    began = time.perf_counter()
    first: list[float] = []

    def listen(epoch: Epoch) -> None:
        now = time.perf_counter() - began
        first.append(now - epoch.seconds - epoch.validation_seconds)
        reached.append((now, epoch.metrics[config.train.metric]))

    found = fit(data, config, start=start() if start else None, validate=validate, listen=listen)
    return Run(found, tuple(reached), first[0])


def in_order(data: Dataset) -> Dataset:
    """The pairs by time, those without one first."""
    return data.take(np.argsort(np.nan_to_num(data.timestamps, nan=-np.inf), kind="stable"))


def until(data: Dataset, share: float) -> Dataset:
    """The first pairs, over their own users and items."""
    return data.take(np.arange(round(share * len(data)))).compact()


def between(data: Dataset, share: float, following: float) -> Dataset:
    """The pairs that follow."""
    return data.take(np.arange(round(share * len(data)), round(following * len(data))))


def _first(data: Dataset, config: RunConfig) -> Content:
    """The version before the first retraining: its epoch chosen on its latest pairs, then trained on all of them."""
    early, late = until(data, CHOOSING), between(data, CHOOSING, SHARES[0])
    chosen = fit(early, config, validate=validation(early, late.over(early.users, early.items), config))
    known = until(data, SHARES[0])
    found = fit(known, chosen.config, epochs=chosen.best_epoch)
    return content(known, found.space, found.config, {})


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser


if __name__ == "__main__":
    main()

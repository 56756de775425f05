"""Lists for users whom training never saw, folded in from their items, beside the same users trained.

    python -m benchmarks.fold_in --data DIR [--data DIR ...] [--share 0.1] [--seeds 3]

A share of the users is held out of training entirely. A model without them places each by `cml.fold_in` from the
user's training pairs; a model of everybody knows the same users from the same pairs. Both rank all items that the
user has not seen, and are judged on the same test pairs; the interval is a bootstrap over these users. Then only a few
pairs of each stranger are known, and told is what the mean user as their prior is worth. Seeds draw users, their few
pairs and the start of training. Results go to benchmarks/results/fold-in-NAME.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks.options import parser_of
from benchmarks.records import birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable
from cml.config import RunConfig, load_config
from cml.data.dataset import Dataset
from cml.evaluation.evaluate import Evaluation, compare, score
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen
from cml.fold_in import FoldIn
from cml.pipeline import validation
from cml.training.trainer import Fit, fit

METRICS = ("recall@50", "ndcg@10")
FEW = (1, 2, 3, 5, 10)  # pairs of a stranger

Likes = list[NDArray[np.integer]]


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    torch.set_num_threads(given.threads)
    for directory in usable(given.data):
        with tempfile.TemporaryDirectory() as work:
            parts = read_parts(directory, Path(work), seed=0, like_threshold=given.like_threshold)
        seeds = []
        for row in measured(parts, given):
            seeds.append(row)
            print(f"{parts.name}, seed {row['seed']}: {row['folded_in']} of {row['trained']}", flush=True)
        record = {
            "data": parts.name,
            "split": parts.origin,
            "share": given.share,
            "settings": given.set,
            "seeds": seeds,
            "ratio": {name: round(mean(row["ratio"][name] for row in seeds), 4) for name in METRICS},
            "few": {n: _mean_of([row["few"][n] for row in seeds]) for n in FEW},
        }
        origin = birthplace("benchmarks.fold_in", words, given.data)
        print(
            write_record("fold-in", parts.name, origin | record, given.results), record["ratio"], flush=True
        )


def measured(parts: Parts, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a seed: both kinds of lists for the users held out."""
    for seed in range(given.seeds):
        config = load_config(overrides=tuple(given.set), seed=seed, threads=given.threads)
        strangers = held_out_users(parts.train, given.share, np.random.default_rng(seed))
        judged = _of_users(parts.to_judge, strangers)
        everybody = learned(parts.train, parts.valid, config).space
        trained = _judged(everybody.users[judged.user_rows], everybody.items, judged)
        valid = parts.valid.over(parts.train.users, parts.train.items)
        others, chooses = (part.take(~np.isin(part.user_rows, strangers)) for part in (parts.train, valid))
        found = learned(others, chooses, config)  # the vocabularies stay, so rows mean the same
        fold_in = folding(found, np.unique(others.user_rows))
        likes = likes_of(parts.train.positives(), judged.user_rows)
        folded = _judged(_points(fold_in, likes), found.space.items, judged)
        gap = compare(folded, trained, np.random.default_rng(0))
        yield {
            "seed": seed,
            "users": len(judged),
            "trained": {name: round(trained.metrics()[name], 5) for name in METRICS},
            "folded_in": {name: round(folded.metrics()[name], 5) for name in METRICS},
            "ratio": {name: round(folded.metrics()[name] / trained.metrics()[name], 4) for name in METRICS},
            "gap": {name: [round(value, 5) for value in (gap[name].low, gap[name].high)] for name in METRICS},
            "few": few(found, fold_in, likes, judged, np.random.default_rng(seed)),
        }


def few(
    found: Fit, fold_in: FoldIn, likes: Likes, judged: HeldOut, rng: np.random.Generator
) -> dict[int, dict[str, dict[str, float]]]:
    """By number of pairs that are known of a stranger: lists with the mean user as prior, and without one."""
    likes = [rng.permutation(rows) for rows in likes]
    kinds = {"mean user": fold_in, "none": folding(found)}
    told: dict[int, dict[str, dict[str, float]]] = {}
    for n in FEW:
        told[n] = {}
        for name, place in kinds.items():
            points = _points(place, [np.sort(rows[:n]) for rows in likes])
            metrics = _judged(points, found.space.items, judged).metrics()
            told[n][name] = {metric: round(metrics[metric], 5) for metric in METRICS}
    return told


def held_out_users(train: Dataset, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of the users that one model must not know, ascending: a share of all."""
    return np.sort(rng.choice(train.n_users, max(1, round(share * train.n_users)), replace=False))


def learned(train: Dataset, valid: Dataset, config: RunConfig) -> Fit:
    """What training makes of these pairs, the epoch chosen on the validation pairs of their users."""
    return fit(train, config, validate=validation(train, valid, config))


def folding(found: Fit, learned_from: NDArray[np.integer] | None = None) -> FoldIn:
    """What places strangers, as a service of this model does; without the rows of those who taught it no mean user."""
    temperature, space = found.config.train.temperature, found.space
    assert temperature is not None  # decided by training where it was left open
    users = None if learned_from is None else space.users.numpy()[learned_from]
    radius = float(space.radius or 1.0)
    return FoldIn(space.items.numpy(), temperature=temperature, radius=radius, users=users)


def likes_of(positives: csr_array, user_rows: NDArray[np.integer]) -> Likes:
    """Each user's liked items."""
    return [positives.indices[positives.indptr[row] : positives.indptr[row + 1]] for row in user_rows]


def _points(fold_in: FoldIn, likes: Likes) -> torch.Tensor:
    """Points (n, dim) from liked items alone."""
    return torch.from_numpy(np.stack([fold_in.point(rows) for rows in likes]))


def _mean_of(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of the same metrics of several seeds."""
    return {
        kind: {name: round(mean(row[kind][name] for row in rows), 4) for name in METRICS} for kind in rows[0]
    }


def _of_users(held_out: HeldOut, users: NDArray[np.int64]) -> HeldOut:
    return held_out.take(np.flatnonzero(np.isin(held_out.user_rows, users)))


def _judged(points: torch.Tensor, items: torch.Tensor, held_out: HeldOut) -> Evaluation:
    return score(top_unseen(points, items, held_out.seen, 50), held_out, (10, 50))


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--share", type=float, default=0.1, help="of the users, held out of training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="a setting of training; repeatable")
    return parser


if __name__ == "__main__":
    main()

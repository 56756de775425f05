"""What features of users are worth: for somebody new, and for users with few likes.

    python -m benchmarks.user_features --data DIR --features COLUMNS [--parts DIR] [--seeds 3]

DIR holds `interactions.csv.gz` and `users.csv.gz`. strangers: a fifth of the users is held out of training entirely,
`cml train --users` learns from the others, and each stranger is placed as the service does it by features alone, by a
few likes alone, and by both; all items but those likes are ranked for the stranger's other likes. Popularity and the
place of somebody of whom nothing is known stand beside them. The strangers who are judged come from one half of the
users, those of `--choose`, for choosing settings, from the other. in-matrix: the parts of `--parts`, by default of
DIR, with user features and without, by the likes that users had in training; sparse: the same with a fifth of each
user's training pairs. With `--shuffled` the table's rows belong to other users: what remains is the pull towards where
users are. Results go to benchmarks/results/user-features-NAME.json, with `--shuffled` to
user-features-shuffled-NAME.json.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.features import METRICS, SHARE, compared, parser_of, run_cml, thinned
from benchmarks.ours import vectors
from benchmarks.records import birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable, write_part
from cml.artifact import load
from cml.config import DataConfig
from cml.data.dataset import Dataset
from cml.data.reading import read_interactions
from cml.data.users import ID_COLUMN, read_users
from cml.evaluation.baselines import popularity_lists
from cml.evaluation.evaluate import Evaluation, HeldOut, compare, score
from cml.evaluation.ranking import top_unseen
from cml.fold_in import Prior
from cml.snapshot import Snapshot

GIVEN = (0, 1, 3, 10)  # likes of a stranger that are known
KS = (10, 50)
BUCKETS = {"1 to 9 likes": (1, 9), "10 to 29 likes": (10, 29), "30 or more": (30, np.inf)}


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    if len(list(usable([given.data, given.parts or given.data]))) < 2:
        return
    record: dict[str, Any] = {"features": given.features, "settings": given.set}
    origin = birthplace("benchmarks.user_features", words, [given.data, given.parts or given.data])
    kinds = {"strangers": strangers(given), "in-matrix": warm(given, 1.0), "sparse": warm(given, SHARE)}
    name = "user-features-shuffled" if given.shuffled else "user-features"
    with tempfile.TemporaryDirectory() as work:
        given.users = given.data / "users.csv.gz"
        if given.shuffled:
            given.users = shuffled(given.users, Path(work) / "users.csv.gz")
        for kind in given.only:
            for row in kinds[kind]:
                record.setdefault(kind, []).append(row)
                print(kind, json.dumps(row), flush=True)
                write_record(name, given.data.name, origin | record, given.results)


def shuffled(table: Path, out: Path) -> Path:
    """The table with its ids dealt out anew, written to `out`."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    at = header.index(ID_COLUMN)
    ids = [row[at] for row in rows]
    for row, other in zip(rows, np.random.default_rng(0).permutation(len(rows)), strict=True):
        row[at] = ids[other]
    with gzip.open(out, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return out


def strangers(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a seed: users whom training never saw, by what is known of them."""
    config = DataConfig(like_threshold=given.like_threshold)
    everything = read_interactions(given.data / "interactions.csv.gz", config).dataset
    everything = everything.take(everything.liked).compact()
    half = np.random.default_rng(0).permutation(everything.n_users)[int(given.choose) :: 2]
    for seed in range(given.seeds):
        rng = np.random.default_rng(seed)
        new = np.isin(
            everything.user_rows, rng.choice(half, round(SHARE * everything.n_users), replace=False)
        )
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            train = write_part(everything.take(~new), work / "train.csv.gz")
            held_out = ("--hold-out", "--set", "split.method=random", "--set", "split.ratio=0.1", "--refit")
            run_cml("train", "--train", train, *held_out, *_options(given, seed), "--out", work / "run")
            snapshot = Snapshot(load(work / "run" / "artifact"), "run")
            met = Strangers(snapshot, everything.take(~new), everything.take(new).compact(), rng)
            yield {"seed": seed} | met.report(given)


class Strangers:
    """Users whom a version does not know, and their likes in a random order."""

    def __init__(
        self, snapshot: Snapshot, others: Dataset, theirs: Dataset, rng: np.random.Generator
    ) -> None:
        self.snapshot, self.theirs = snapshot, theirs
        self.liked_by_others = others.over(others.users, snapshot.artifact.items).positives()
        shuffled = rng.permutation(len(theirs))
        by_user = shuffled[np.argsort(theirs.user_rows[shuffled], kind="stable")]
        starts = np.searchsorted(theirs.user_rows[by_user], np.arange(theirs.n_users))
        self.order = np.empty(len(theirs), dtype=np.int64)  # of each like among the user's own
        self.order[by_user] = np.arange(len(theirs)) - starts[theirs.user_rows[by_user]]

    def report(self, given: argparse.Namespace) -> dict[str, Any]:
        """Every way to place them, for each number of likes that are known."""
        placer = self.snapshot.artifact.user_placer
        assert placer is not None  # the version was trained with features
        table = read_users(given.users, self.theirs.users)
        places = placer.place([table.record(row) for row in range(table.n_items)])
        usual = self.snapshot.artifact.config["user_features"]["weight"]
        nowhere = placer.place([{}] * self.theirs.n_users).vectors
        found: dict[str, Any] = {"users": self.theirs.n_users, "described": int(places.known.sum())}
        for n in GIVEN:
            judged = self.judged(n)
            known = self.theirs.take(self.order < n)
            lists = {"popularity": score(popularity_lists(self.liked_by_others, judged, max(KS)), judged, KS)}
            if n == 0:
                lists["features"] = self.nearest(places.vectors, judged)
                lists["nothing known"] = self.nearest(nowhere, judged)
                base = lists["popularity"]
            else:
                base = lists["likes"] = self.nearest(self.folded(known), judged)
                for weight in given.weights or [usual]:
                    name = f"likes and features, weight {weight:g}"
                    lists[name] = self.nearest(self.folded(known, places.vectors, weight), judged)
                lists["likes and nothing known"] = self.nearest(self.folded(known, nowhere, usual), judged)
            found[f"{n} likes"] = {name: _shortened(one, base) for name, one in lists.items()}
        return found

    def judged(self, n: int) -> HeldOut:
        """The likes behind the first n of each, which count as seen."""
        items = self.snapshot.artifact.items
        known = self.theirs.take(self.order < n).over(self.theirs.users, items)
        return HeldOut.of(self.theirs.take(self.order >= n), self.theirs.users, items, known.seen())

    def folded(
        self, known: Dataset, places: NDArray[np.float32] | None = None, weight: float = 0.0
    ) -> NDArray[np.float32]:
        """A point for each, from the known likes and maybe a place that counts as so many more."""
        liked = known.over(known.users, self.snapshot.artifact.items).positives()
        points = np.zeros((known.n_users, self.snapshot.artifact.item_vectors.shape[1]), np.float32)
        for user in range(known.n_users):
            own = liked.indices[liked.indptr[user] : liked.indptr[user + 1]]
            prior = None if places is None else Prior(places[user], weight)
            if len(own):
                points[user] = self.snapshot.fold_in.point(own, prior=prior)
        return points

    def nearest(self, points: NDArray[np.float32], judged: HeldOut) -> Evaluation:
        """What the items nearest to the points are worth."""
        vectors = np.asarray(self.snapshot.artifact.item_vectors)
        return score(top_unseen(points[judged.user_rows], vectors, judged.seen, max(KS)), judged, KS)


def _shortened(one: Evaluation, base: Evaluation) -> dict[str, Any]:
    gap = compare(one, base, np.random.default_rng(0))
    return {m: round(one.metrics()[m], 5) for m in METRICS} | {
        "gap": {m: [round(v, 5) for v in (gap[m].mean, gap[m].low, gap[m].high)] for m in METRICS}
    }


def warm(given: argparse.Namespace, share: float) -> Iterator[dict[str, Any]]:
    """One row a seed: lists with user features beside those without, from a share of each user's training pairs."""
    for seed in range(given.warm_seeds):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            liked = None if given.parts else given.like_threshold  # fixed parts hold liked pairs only
            parts = read_parts(given.parts or given.data, work, seed=0, like_threshold=liked)
            if share < 1:
                parts = thinned(parts, share, seed, work)
            files = ("--train", parts.files["train"], "--valid", parts.files["valid"])
            found = []
            for features in (False, True):
                out = work / f"{features}"
                run_cml("train", *files, *_options(given, seed, features=features), "--out", out)
                found.append(vectors(out, parts))
            row: dict[str, Any] = {"seed": seed, "pairs": len(parts.train)}
            for bucket, (least, most) in {"everybody": (0, np.inf), **BUCKETS}.items():
                judged = _with_likes(parts, least, most)
                row[bucket] = compared(*found, judged) if len(judged) else None
            yield row


def _with_likes(parts: Parts, least: float, most: float) -> HeldOut:
    """The test pairs of users with so many likes in training."""
    likes = np.diff(parts.positives.indptr)
    rows = parts.train.users.rows(parts.test.users)
    own = np.where(rows < 0, -1, likes[rows])[parts.test.user_rows]
    return replace(parts, test=parts.test.take((own >= least) & (own <= most))).to_judge


def _options(given: argparse.Namespace, seed: int, *, features: bool = True) -> list[Any]:
    settings = [word for setting in given.set for word in ("--set", setting)]
    drawn = ["--users", given.users, "--user-features", given.features] if features else []
    return ["--seed", seed, "--threads", given.threads, *settings, *drawn, "--json"]


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, ["strangers", "in-matrix", "sparse"], "user")
    parser.add_argument("--choose", action="store_true", help="strangers from the half that chooses settings")
    parser.add_argument(
        "--weights", type=float, nargs="+", help="of the features beside likes, by default training's"
    )
    parser.add_argument(
        "--shuffled", action="store_true", help="deal the user table's rows out to other users"
    )
    return parser


if __name__ == "__main__":
    main()

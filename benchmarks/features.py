"""What features of items are worth: for items that nobody has met, for those with few likes, and on little data.

    python -m benchmarks.features --data DIR --features COLUMNS [--parts DIR] [--seeds 3]

DIR holds `interactions.csv.gz` and the item table, `items.csv.gz`. cold: a fifth of the items is held out whole,
`cml train --features` learns from the rest, and `cml evaluate --cold-items` ranks the cold ones beside tf-idf cosine.
in-matrix: the parts of `--parts`, by default of DIR, with features and without, by how often the items to be found
were liked in training. sparse: the same with a fifth of each user's training pairs. Results go to
benchmarks/results/features-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ours import vectors
from benchmarks.records import RESULTS, birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable, write_part
from cml.config import SplitConfig
from cml.data.split import split
from cml.evaluation.evaluate import compare, evaluate
from cml.evaluation.held_out import HeldOut

SHARE = 0.2  # of the items that are cold; of a user's pairs that sparse data keep
KS = (10, 50)
METRICS = ("recall@50", "ndcg@10")
BUCKETS = {"0 to 4 likes": (0, 4), "5 to 19 likes": (5, 19), "20 or more": (20, np.inf)}


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = parser_of(__doc__, ["cold", "in-matrix", "sparse"], "item").parse_args(words)
    if len(list(usable([given.data, given.parts or given.data]))) < 2:
        return
    record: dict[str, Any] = {"features": given.features, "settings": given.set}
    origin = birthplace("benchmarks.features", words, [given.data, given.parts or given.data])
    kinds = {"cold": cold(given), "in-matrix": warm(given, 1.0), "sparse": warm(given, SHARE)}
    for kind in given.only:
        for row in kinds[kind]:
            record.setdefault(kind, []).append(row)
            print(kind, row, flush=True)
            write_record("features", given.data.name, origin | record, given.results)


def cold(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a seed: what `cml evaluate --cold-items` prints, shortened."""
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            pairs, table = str(given.data / "interactions.csv.gz"), str(given.data / "items.csv.gz")
            liked = [] if given.like_threshold is None else ["--like-threshold", given.like_threshold]
            run_cml("data", "split", pairs, *liked, "--cold-items", SHARE, "--seed", seed, "--out", work)
            held_out = ("--hold-out", "--set", "split.method=random", "--set", "split.ratio=0.1", "--refit")
            run_cml(
                "train",
                "--train",
                work / "train.csv",
                *held_out,
                *_options(given, seed),
                "--out",
                work / "run",
            )
            judged = ("--test", work / "cold.csv", "--cold-items", table)
            found = json.loads(run_cml("evaluate", work / "run", *judged, "--k", 10, "--k", 50, "--json"))
        yield {
            "seed": seed,
            "cold_items": found["cold_items"],
            "without_features": found["without_features"],
            "users": found["users"],
            **{among: _shortened(found[among]) for among in ("all", "cold")},
        }


def _shortened(methods: dict[str, Any]) -> dict[str, Any]:
    means = {name: {m: round(found["metrics"][m], 5) for m in METRICS} for name, found in methods.items()}
    ratio = {m: round(means["placed"][m] / max(means["tf-idf"][m], 1e-9), 4) for m in METRICS}
    gap = {m: [round(value, 5) for value in methods["tf-idf"]["difference"][m]] for m in METRICS}
    return means | {"placed to tf-idf": ratio, "placed - tf-idf": gap}


def warm(given: argparse.Namespace, share: float) -> Iterator[dict[str, Any]]:
    """One row a seed: lists with features beside those without, from a share of each user's training pairs."""
    for seed in range(given.warm_seeds):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            liked = None if given.parts else given.like_threshold  # fixed parts hold liked pairs only
            parts = read_parts(given.parts or given.data, work, seed=0, like_threshold=liked)
            if share < 1:
                parts = thinned(parts, share, seed, work)
            plain, drawn = (
                _trained(parts, work / kind, options)
                for kind, options in (
                    ("without", _options(given, seed, features=False)),
                    ("with", _options(given, seed)),
                )
            )
            row: dict[str, Any] = {"seed": seed, "pairs": len(parts.train)}
            for bucket, (least, most) in {"everything": (0, np.inf), **BUCKETS}.items():
                judged = _to_find(parts, least, most)
                row[bucket] = compared(plain, drawn, judged) if len(judged) else None
            yield row


Vectors = tuple[np.ndarray, np.ndarray]


def _trained(parts: Parts, run: Path, options: Sequence[Any]) -> Vectors:
    run_cml("train", "--train", parts.files["train"], "--valid", parts.files["valid"], *options, "--out", run)
    return vectors(run, parts)


def thinned(parts: Parts, share: float, seed: int, work: Path) -> Parts:
    """Parts with a share of each user's training pairs; an item that loses all of its own is a miss for both."""
    rng = np.random.default_rng(seed)
    kept = split(parts.train, SplitConfig(method="random", ratio=1 - share), rng).train.compact()
    files = parts.files | {"train": write_part(kept, work / "thin.csv.gz")}
    return Parts(parts.name, kept, parts.valid, parts.test, files, parts.origin)


def _to_find(parts: Parts, least: float, most: float) -> HeldOut:
    """The test pairs of items with so many likes in training."""
    likes = np.append(np.bincount(parts.train.item_rows, minlength=parts.train.n_items), 0)
    of_pair = likes[parts.train.items.rows(parts.test.items)][
        parts.test.item_rows
    ]  # unknown: row -1, no likes
    return replace(parts, test=parts.test.take((of_pair >= least) & (of_pair <= most))).to_judge


def compared(plain: Vectors, drawn: Vectors, judged: HeldOut) -> dict[str, Any]:
    one, other = (evaluate(*found, judged, KS) for found in (plain, drawn))
    gap = compare(other, one, np.random.default_rng(0))
    return {
        "users": len(judged),
        "without": {m: round(one.metrics()[m], 5) for m in METRICS},
        "with": {m: round(other.metrics()[m], 5) for m in METRICS},
        "gap": {m: [round(v, 5) for v in (gap[m].mean, gap[m].low, gap[m].high)] for m in METRICS},
    }


def _options(given: argparse.Namespace, seed: int, *, features: bool = True) -> list[Any]:
    settings = [word for setting in given.set for word in ("--set", setting)]
    drawn = ["--items", given.data / "items.csv.gz", "--features", given.features] if features else []
    return ["--seed", seed, "--threads", given.threads, *settings, *drawn, "--json"]


def run_cml(*words: Any) -> str:
    command = [sys.executable, "-m", "cml", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def parser_of(page: str | None, kinds: Sequence[str], table: str) -> argparse.ArgumentParser:
    """Options of a benchmark on features of a table ("item" or "user"); `--seeds` counts for the first of `kinds`."""
    parser = argparse.ArgumentParser(description=(page or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a set's directory")
    parser.add_argument("--features", required=True, help=f"columns of its {table} table")
    parser.add_argument(
        "--parts", type=Path, help="fixed parts for in-matrix and sparse, else those of --data"
    )
    parser.add_argument("--like-threshold", type=float, help="rating from which on a pair is liked")
    parser.add_argument("--seeds", type=int, default=3, help=f"of {kinds[0]}")
    parser.add_argument("--warm-seeds", type=int, default=3, help="of the other two")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--set", action="append", default=[], help="a setting of training; repeatable")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()

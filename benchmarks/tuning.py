"""`cml train` as it comes beside `cml train --auto`: what choosing settings within a time budget is worth.

    python -m benchmarks.tuning --data DIR [--data DIR ...] [--budget 15m] [--seeds 1]

Both see the same training and validation pairs and are judged on the test pairs once for each seed. Results go to
benchmarks/results/tuning-NAME.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.fitted import judged
from benchmarks.options import parser_of
from benchmarks.ours import trained
from benchmarks.records import birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable

JUDGED_BY = ("recall@50", "ndcg@10")


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    for directory in usable(given.data):
        with tempfile.TemporaryDirectory() as work:
            parts = read_parts(directory, Path(work), seed=0, like_threshold=given.like_threshold)
            told = birthplace("benchmarks.tuning", words, given.data) | {
                "data": parts.name,
                "split": parts.origin,
                "counts": parts.counts(),
                "threads": given.threads,
                "budget": given.budget,
                "models": {
                    "defaults": _runs(parts, Path(work) / "defaults", given),
                    "auto": _runs(parts, Path(work) / "auto", given, "--auto", given.budget),
                },
            }
        print(write_record("tuning", parts.name, told | {"ratios": _ratios(told["models"])}, given.results))


def _runs(parts: Parts, work: Path, given: argparse.Namespace, *more: str) -> list[dict[str, Any]]:
    """A run for each seed: settings, seconds and the test metrics."""
    runs = []
    for seed in range(given.seeds):
        model, said = trained(parts, work / f"{seed}", seed=seed, threads=given.threads, arguments=more)
        metrics = judged(model, parts.to_judge).metrics()
        runs.append(
            {
                "settings": said["config"],
                "command_seconds": round(said["seconds"], 1),
                "test": {metric: round(metrics[metric], 5) for metric in JUDGED_BY},
            }
        )
        print(f"{parts.name}, seed {seed} {' '.join(more)}: {runs[-1]['test']}", flush=True)
    return runs


def _ratios(models: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Defaults by tuned, from the means over seeds."""
    means = {
        (name, metric): mean(run["test"][metric] for run in runs)
        for name, runs in models.items()
        for metric in JUDGED_BY
    }
    return {metric: round(means["defaults", metric] / means["auto", metric], 4) for metric in JUDGED_BY}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=2)
    parser.add_argument("--budget", default="15m", help="of `--auto`")
    parser.add_argument("--seeds", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()

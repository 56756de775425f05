"""Lists on unseen data: ours beside its peers, on the same splits, judged by the same code.

    python -m benchmarks.quality --data DIR [--data DIR ...] [--configurations 3] [--seeds 3]

Each peer fits the first `--configurations` entries of its grid on the training pairs; validation Recall@50 chooses
configuration and epoch, and the chosen model is judged on the test pairs once. Ours is `cml train` as it comes,
one configuration, with several seeds. Results go to benchmarks/results/quality-NAME.json.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from subprocess import CalledProcessError
from typing import Any

import numpy as np
import torch

from benchmarks.closed_form import Skipped, ease, frequency_scaled_als, item_knn, popularity
from benchmarks.fitted import CHOOSES, Fitted, judged
from benchmarks.grids import OWN_GRIDS, PEER_GRIDS
from benchmarks.options import parser_of
from benchmarks.ours import trained
from benchmarks.peer_fits import peer
from benchmarks.records import birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable
from cml.evaluation.evaluate import Evaluation, compare

OWN: Mapping[str, Callable[[Parts, Mapping[str, Any]], Iterator[Fitted]]] = {
    "popularity": popularity,
    "item-knn": item_knn,
    "ease": ease,
    "ials": frequency_scaled_als,
}
COMPARED = ("recall@50", "ndcg@10")
OURS = "cml train"
Fit = Callable[[Mapping[str, Any], Path], Iterator[Fitted]]


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    torch.set_num_threads(given.threads)
    for directory in usable(given.data):
        with tempfile.TemporaryDirectory() as work:
            parts = read_parts(
                directory, Path(work), seed=given.split_seed, like_threshold=given.like_threshold
            )
            origin = birthplace("benchmarks.quality", words, given.data)
            for told in compared(parts, Path(work), given):  # what is done stays, whatever comes
                path = write_record("quality", parts.name, origin | told, given.results)
        print(path, flush=True)


def compared(parts: Parts, work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is known about one data set, ready for its file: again after each model."""
    rows: list[dict[str, Any]] = []
    tests: dict[str, Evaluation] = {}
    for name in given.models:
        print(f"{parts.name}: {name}", flush=True)
        try:
            rows.append(_peer_row(name, parts, work, given, tests))
        except (Skipped, CalledProcessError) as error:
            traceback.print_exc()
            rows.append({"model": name, "skipped": _reason(error)})
        yield _told(parts, rows, tests, given)
    rows.append(_our_row(parts, work, given, tests))
    yield _told(parts, rows, tests, given)


def _told(
    parts: Parts, rows: Sequence[dict[str, Any]], tests: Mapping[str, Evaluation], given: argparse.Namespace
) -> dict[str, Any]:
    return {
        "data": parts.name,
        "split": parts.origin,
        "counts": parts.counts() | {"judged_users": len(parts.to_judge)},
        "threads": given.threads,
        "chosen_by": f"validation {CHOOSES}",
        "configurations": given.configurations,
        "fit_limit_seconds": given.fit_limit,
        "seeds": list(range(given.seeds)),
        "models": list(rows),
        "against_best_peer": _against_best(rows, tests),
    }


def _fit(name: str, parts: Parts, given: argparse.Namespace) -> Fit:
    if name in OWN:
        return lambda settings, _work: OWN[name](parts, settings)
    epochs = PEER_GRIDS[name].epochs
    return lambda settings, work: peer(
        name, parts, settings, work, epochs=epochs, threads=given.threads, limit=given.fit_limit
    )


def _peer_row(
    name: str, parts: Parts, work: Path, given: argparse.Namespace, tests: dict[str, Evaluation]
) -> dict[str, Any]:
    grid = (OWN_GRIDS | PEER_GRIDS)[name].settings[: given.configurations]
    best, chosen, trials = choose(_fit(name, parts, given), grid, parts, work / name)
    tests[name] = judged(best, parts.to_judge)
    return {
        "model": name,
        "settings": dict(chosen),
        "epoch": best.epoch,
        "fit_seconds": round(best.seconds, 2),
        "fit_cpu_seconds": round(best.cpu_seconds, 2),
        "trials": trials,
        "test": _rounded(tests[name].metrics()),
    }


def choose(
    fit: Fit, grid: Sequence[Mapping[str, Any]], parts: Parts, work: Path
) -> tuple[Fitted, Mapping[str, Any], list[dict[str, Any]]]:
    """(the best model by validation, its settings, the best of each trial)."""
    found: list[tuple[float, Fitted, Mapping[str, Any]]] = []
    trials = []
    for number, settings in enumerate(grid):
        models = (
            (judged(model, parts.to_choose).metrics(), model) for model in fit(settings, work / f"{number}")
        )
        metrics, model = max(models, key=lambda pair: pair[0][CHOOSES])
        found.append((metrics[CHOOSES], model, settings))
        trials.append({"settings": dict(settings), "epoch": model.epoch, "valid": _rounded(metrics)})
        print(f"  {settings} epoch {model.epoch}: {metrics[CHOOSES]:.4f}, {model.seconds:.1f} s", flush=True)
    _, model, settings = max(found, key=lambda trial: trial[0])
    return model, settings, trials


def _our_row(
    parts: Parts, work: Path, given: argparse.Namespace, tests: dict[str, Evaluation]
) -> dict[str, Any]:
    runs = []
    for seed in range(given.seeds):
        run = work / f"{OURS.replace(' ', '_')}-{seed}"
        model, said = trained(parts, run, seed=seed, threads=given.threads, arguments=given.ours)
        found = judged(model, parts.to_judge)
        tests.setdefault(OURS, found)  # the first seed speaks in the paired comparison
        runs.append(found.metrics())
        print(
            f"{parts.name}: {OURS}, seed {seed}: {found.metrics()[CHOOSES]:.4f}, {said['seconds']:.1f} s",
            flush=True,
        )
    return {
        "model": OURS,
        "settings": said["config"],
        "epoch": said["best_epoch"],
        "fit_seconds": round(said["training_seconds"], 2),
        "command_seconds": round(said["seconds"], 2),
        "command_cpu_seconds": round(model.cpu_seconds, 2),
        "test": _rounded({key: mean(run[key] for run in runs) for key in runs[0]}),
        "seed_spread": _rounded({key: stdev([run[key] for run in runs]) for key in COMPARED})
        if len(runs) > 1
        else {},
        "test_of_each_seed": [_rounded(run) for run in runs],
    }


def _against_best(rows: Sequence[Mapping[str, Any]], tests: Mapping[str, Evaluation]) -> dict[str, Any]:
    """For each metric: the best peer, and by how much we (first seed) are above it, with the 95 % interval."""
    peers = [row for row in rows if "test" in row and row["model"] != OURS]
    if not peers or OURS not in tests:
        return {}
    told = {}
    for metric in COMPARED:
        best = max(peers, key=lambda row: row["test"][metric])["model"]
        gap = compare(tests[OURS], tests[best], np.random.default_rng(0))[metric]
        told[metric] = {"peer": best, "gap": _rounded({"mean": gap.mean, "low": gap.low, "high": gap.high})}
    return told


def _reason(error: Skipped | CalledProcessError) -> str:
    if isinstance(error, CalledProcessError):
        return f"its process ended with status {error.returncode}"
    return str(error)


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in metrics.items()}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=2)
    parser.add_argument("--split-seed", type=int, default=0, help="of parts that the set does not bring")
    parser.add_argument("--models", nargs="*", default=[*OWN_GRIDS, *PEER_GRIDS], help="peers to fit")
    parser.add_argument("--configurations", type=int, default=3, help="tried for each peer")
    parser.add_argument("--fit-limit", type=float, default=600.0, help="CPU seconds of fitting in one trial")
    parser.add_argument("--seeds", type=int, default=3, help="of ours")
    parser.add_argument(
        "--ours", type=shlex.split, default=[], help="more arguments for `cml train`, in quotes"
    )
    return parser


if __name__ == "__main__":
    main()

"""Accuracy of every adaptation method on pairs of review domains, over seeds, without target labels.

    python benchmarks/adversarial_reviews.py DATA --out results.jsonl [--steps 10000] [--seeds 3]

DATA holds NAME_train.svmlight and NAME_test.svmlight per domain (Blitzer's Amazon reviews in the 5,000 word
version that the authors of WDGRL published). Every ordered pair of the domains found there is run. Each run
is one `adversarial evaluate`, one at a time, on one thread; its JSON line is appended to the results, and
runs that are there already are not repeated. The table at the end is mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

METHODS = {
    "source-only": ["--method", "source-only"],
    "coral": ["--method", "coral"],
    "mmd": ["--method", "mmd"],
    "dann": ["--method", "dann"],
    "wdgrl": ["--method", "wdgrl"],
    "wdgrl on log(1 + count)": ["--method", "wdgrl", "--scale", "log"],
    "source-only on log(1 + count)": ["--method", "source-only", "--scale", "log"],
}


def main() -> None:
    arguments = _arguments()
    domains = sorted(
        path.name.removesuffix("_train.svmlight") for path in arguments.data.glob("*_train.svmlight")
    )
    if len(domains) < 2:
        print(f"skipped: {arguments.data} has no NAME_train.svmlight and NAME_test.svmlight of two domains")
        return
    for source, target, seed, method in _wanted(domains, arguments):
        result = _evaluate(arguments, source, target, method, seed)
        with arguments.out.open("a") as lines:
            lines.write(json.dumps({"from": source, "to": target} | result) + "\n")
    _print_table(_results(arguments.out), arguments.steps)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    return parser.parse_args()


def _wanted(domains: list[str], arguments: argparse.Namespace) -> Iterator[tuple[str, str, int, str]]:
    done = {(r["from"], r["to"], r["seed"], r["method"], r["steps"]) for r in _results(arguments.out)}
    pairs = itertools.permutations(domains, 2)
    everything = itertools.product(arguments.methods, range(arguments.seeds), pairs)
    for method, seed, (source, target) in everything:
        if (source, target, seed, method, arguments.steps) not in done:
            yield source, target, seed, method


def _evaluate(arguments: argparse.Namespace, source: str, target: str, method: str, seed: int) -> dict:
    files = {
        "--source": arguments.data / f"{source}_train.svmlight",
        "--target": arguments.data / f"{target}_train.svmlight",
        "--test": arguments.data / f"{target}_test.svmlight",
    }
    command = [sys.executable, "-m", "adversarial", "evaluate", "--json", *METHODS[method]]
    command += ["--features", "5000", "--steps", arguments.steps, "--seed", seed]
    command += itertools.chain(*files.items())
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    finished = subprocess.run(map(str, command), capture_output=True, text=True, check=True, env=one_thread)
    result = json.loads(finished.stdout)
    kept = {name: result[name] for name in ("seed", "steps", "accuracy", "seconds", "cpu_seconds")}
    return {"method": method} | kept


def _results(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _print_table(results: list[dict], steps: int) -> None:
    kept = [result for result in results if result["steps"] == steps]
    for source, target in sorted({(result["from"], result["to"]) for result in kept}):
        for method in METHODS:
            runs = [r for r in kept if (r["from"], r["to"], r["method"]) == (source, target, method)]
            if not runs:
                continue
            accuracy = [100 * run["accuracy"] for run in runs]
            spread = statistics.stdev(accuracy) if len(runs) > 1 else 0.0
            cpu = 1000 * statistics.mean(run["cpu_seconds"] for run in runs) / steps
            print(
                f"{source} -> {target}  {method:30s} {statistics.mean(accuracy):6.2f} +- {spread:4.2f} % "
                f"({len(runs)} seeds, {cpu:.1f} CPU s per 1,000 steps)"
            )


if __name__ == "__main__":
    main()

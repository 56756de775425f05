"""What each ingredient of the trainer is worth: one change at a time, on one data set, on our own engine.

    python -m benchmarks.ablations --data DIR --out benchmarks/results/ablations-NAME.json [--seeds 3]

DIR holds train, valid and test .csv.gz with user_id and item_id. The epoch is chosen on validation data; the test
data are read once per run. Also draws the learning curves beside the JSON file, as PNG.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from cml.config import RunConfig, load_config
from cml.data.dataset import Dataset
from cml.data.reading import read_together
from cml.evaluation.evaluate import HeldOut, evaluate
from cml.pipeline import validation
from cml.training.start import starting_space
from cml.training.trainer import Fit, fit

METRICS = ("recall@50", "ndcg@10")
VARIANTS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "random start": ("start=random",),
    "random start, no ball": ("start=random", "radius=none"),
    "temperature half of the rule": ("temperature={half}",),
    "temperature twice the rule": ("temperature={twice}",),
    "pool of 128": ("pool=128",),
    "pool of 512": ("pool=512",),
    "one visit": ("visits=1",),
    "a step size for each component": ("optimizer=adagrad",),
    "constant rate": ("schedule=constant", "epochs=30"),
    "twice the epochs": ("epochs=24",),
    "random pairs a step": ("batch=pairs", "batch_size=2048"),
    "all pairs weigh the same": ("user_power=0",),
    "all users weigh the same": ("user_power=1",),
    "covariance 1": ("covariance=1",),
    "covariance 10": ("covariance=10",),
    "64 dimensions": ("dim=64",),
    "128 dimensions": ("dim=128",),
    "512 dimensions": ("dim=512",),
    "WARP hinge, mean impostor, random start": ("loss=warp", "start=random", "epochs=30"),
    "hinge without rank weight, random start": ("loss=triplet", "start=random", "epochs=30"),
    "as in the CML paper: 20 draws, the hardest, random start": (
        *("loss=warp", "impostor=hardest", "negatives=per-pair", "batch=pairs", "batch_size=2048"),
        *("user_power=0", "start=random", "epochs=100"),
    ),
}


def main() -> None:
    """Run every variant with every seed and write the results after each, so that a stop loses one run."""
    options = _options()
    if not (options.data / "train.csv.gz").exists():
        sys.exit(f"skipped: {options.data} holds no train.csv.gz")
    torch.set_num_threads(options.threads)
    names = ("train", "valid", "test")
    readings = read_together({name: options.data / f"{name}.csv.gz" for name in names}, load_config().data)
    train, valid, test = (readings[name].dataset for name in names)
    train = train.compact()
    record = _record(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name, settings in VARIANTS.items():
        runs = [_run(train, valid, test, settings, seed) for seed in range(options.seeds)]
        record["variants"][name] = {"settings": settings, "runs": runs}
        options.out.write_text(json.dumps(record, indent=1) + "\n")
        print(_line(name, runs), flush=True)
    _draw(record, options.out.with_suffix(".png"))


def _run(
    train: Dataset, valid: Dataset, test: Dataset, settings: tuple[str, ...], seed: int
) -> dict[str, Any]:
    plain = load_config(seed=seed)
    rule = starting_space(train.positives(), plain.model, plain.rng("start")).temperature or 0.0
    overrides = tuple(text.format(half=rule / 2, twice=rule * 2) for text in settings)
    config = load_config(overrides=overrides, seed=seed)
    started = time.perf_counter()
    found = fit(train, config, validate=validation(train, valid, config))
    return {
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
        "epochs": found.best_epoch,
        "validation": {name: round(found.metrics[name], 5) for name in METRICS},
        "test": _test(found, train, valid, test, config),
        "curve": [[round(epoch.metrics[name], 5) for name in METRICS] for epoch in found.history],
    }


def _test(found: Fit, train: Dataset, valid: Dataset, test: Dataset, config: RunConfig) -> dict[str, float]:
    seen = train.seen() + valid.over(train.users, train.items).seen()
    held_out = HeldOut.of(test, train.users, train.items, seen)
    metrics = evaluate(
        found.space.users, found.space.items, held_out, (10, 50), threads=config.threads
    ).metrics()
    return {name: round(metrics[name], 5) for name in METRICS}


def _record(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "data": options.data.name,
        "date": date.today().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.threads} threads",
        "torch": torch.__version__,
        "defaults": load_config().model_dump(mode="json"),
        "variants": {},
    }


def _line(name: str, runs: list[dict[str, Any]]) -> str:
    cells = [f"{name:56}"]
    for metric in METRICS:
        values = [run["test"][metric] for run in runs]
        spread = stdev(values) if len(values) > 1 else 0.0
        cells.append(f"{metric} {mean(values):.4f} +- {spread:.4f}")
    return "  ".join([*cells, f"{mean(run['seconds'] for run in runs):6.1f} s"])


def _draw(record: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [
        name
        for name in VARIANTS
        if "dimensions" not in name and "covariance" not in name and "weigh" not in name
    ]
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 6), layout="constrained")
    for column, (axis, metric) in enumerate(zip(axes, METRICS, strict=True)):
        for number, name in enumerate(shown):
            curve = record["variants"][name]["runs"][0]["curve"]
            style = "-" if number % 2 == 0 else "--"
            values = [row[column] for row in curve]
            axis.plot(range(1, len(curve) + 1), values, style, color=f"C{number // 2}", label=name)
        axis.set(xlabel="epoch", ylabel=f"validation {metric}", title=record["data"])
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside lower center")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()

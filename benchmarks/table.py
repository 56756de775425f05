"""The tables of docs/benchmarks.md, made from the records; the text around them is written by hand.

python -m benchmarks.table
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.environment import REPOSITORY
from benchmarks.records import RESULTS, read_records

PAGE = REPOSITORY / "docs" / "benchmarks.md"
SHOWN = ("recall@50", "ndcg@10", "recall@20", "ndcg@20")
NAMES = {
    "popularity": "popularity",
    "item-knn": "ItemKNN",
    "ease": "EASE",
    "ials": "iALS, frequency-scaled",
    "implicit-als": "implicit ALS",
    "implicit-bpr": "implicit BPR",
    "lightfm-warp": "LightFM WARP",
    "pytorchcml": "PyTorchCML",
}
Record = Mapping[str, Any]


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")


def filled(page: str, results: Path) -> str:
    """The page with what stands between `<!-- KIND -->` and `<!-- end of KIND -->` made anew."""
    for kind, section in SECTIONS.items():
        text = "\n\n".join(section(record) for record in read_records(kind, results))
        between = re.compile(rf"(<!-- {kind} -->\n).*?(<!-- end of {kind} -->)", re.DOTALL)
        page = between.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
    return page


def quality(record: Record) -> str:
    """One data set: counts, models by Recall@50, the paired comparison, and where it all comes from."""
    ranked = sorted((row for row in record["models"] if "test" in row), key=_recall, reverse=True)
    skipped = [f"{_name(row)} ({row['skipped']})" for row in record["models"] if "skipped" in row]
    rows = [[_name(row), *(_value(row, metric) for metric in SHOWN), _chosen(row)] for row in ranked]
    lines = [
        f"### {record['data']}",
        "",
        _counts(record),
        "",
        *_table(["model", "Recall@50", "NDCG@10", "Recall@20", "NDCG@20", "chosen"], rows),
        "",
        *[_gap(metric, told) for metric, told in record["against_best_peer"].items()],
        *([f"Left out: {'; '.join(skipped)}."] if skipped else []),
        "",
        _origin(record),
    ]
    return "\n".join(lines)


def speed(record: Record) -> str:
    """One data set: interactions a second, then the races."""
    rates = [
        [
            _name(row),
            f"{row['interactions_per_second']:,}",
            f"{row['interactions_per_cpu_second']:,}",
            f"{row['best_valid']:.4f}",
            f"{row['seconds']:.1f} ({row['epochs']})",
        ]
        for row in record["speed"]
    ]
    races = [
        [
            f"{_label(race['ours'])} to the best of {_label(race['peer'])}",
            f"{race['target']:.4f}",
            *(_race(race[clock]) for clock in ("seconds", "cpu_seconds")),
        ]
        for race in record["races"]
    ]
    head = ["model", "interactions/s", "interactions/CPU s", "best valid. Recall@50", "seconds (epochs)"]
    lines = [
        f"### Speed on {record['data']}",
        "",
        *_table(head, rates),
        "",
        *_table(["race", "Recall@50", "seconds: ours / peer", "CPU seconds: ours / peer"], races),
        "",
        _origin(record),
    ]
    return "\n".join(lines)


def tuning(record: Record) -> str:
    """One data set: the defaults beside what a budget has chosen."""
    rows = [
        [name, *(f"{mean(run['test'][metric] for run in runs):.4f}" for metric in record["ratios"])]
        for name, runs in (
            ("`cml train`", record["models"]["defaults"]),
            (f"`cml train --auto {record['budget']}`", record["models"]["auto"]),
        )
    ]
    ratios = [f"{ratio:.3f}" for ratio in record["ratios"].values()]
    lines = [
        f"### Defaults and tuned on {record['data']}",
        "",
        _counts(record),
        "",
        *_table(["", "Recall@50", "NDCG@10"], [*rows, ["ratio", *ratios]]),
        "",
        _origin(record),
    ]
    return "\n".join(lines)


SECTIONS: Mapping[str, Callable[[Record], str]] = {"quality": quality, "tuning": tuning, "speed": speed}


def _recall(row: Record) -> float:
    return float(row["test"]["recall@50"])


def _label(name: str) -> str:
    head, separator, tail = name.partition(",")
    return NAMES.get(head, head) + separator + tail


def _name(row: Record) -> str:
    label = _label(row["model"])
    return f"**{label}**" if label.startswith("cml") else label


def _value(row: Record, metric: str) -> str:
    spread = row.get("seed_spread", {}).get(metric)
    return f"{row['test'][metric]:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def _chosen(row: Record) -> str:
    if row["model"].startswith("cml"):
        return f"mean of {len(row['test_of_each_seed'])} seeds; epoch {row['epoch']} in the last"
    settings = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
    tried = f"best of {len(row['trials'])}"
    epoch = f", epoch {row['epoch']}" if row["epoch"] > 1 else ""
    return f"{tried}: {settings}{epoch}" if settings else "nothing to choose"


def _gap(metric: str, told: Record) -> str:
    gap = told["gap"]
    verdict = "above" if gap["low"] > 0 else "below" if gap["high"] < 0 else "not clearly apart from"
    return (
        f"- {metric}: `cml train` (first seed) is {verdict} the best peer, {_label(told['peer'])}: "
        f"{gap['mean']:+.4f} (95 % interval over users {gap['low']:+.4f} to {gap['high']:+.4f})."
    )


def _counts(record: Record) -> str:
    counts = record["counts"]
    return (
        f"{counts['users']:,} users, {counts['items']:,} items; {counts['train_pairs']:,} pairs to learn from, "
        f"{counts['valid_pairs']:,} to choose on, {counts['test_pairs']:,} to judge on. Split: {record['split']}."
    )


def _race(clock: Record) -> str:
    ours = "not reached" if clock["ours"] is None else f"{clock['ours']:.2f}"
    ratio = "" if clock["ratio"] is None else f" (ratio {clock['ratio']:.2f})"
    return f"{ours} / {clock['peer']:.2f}{ratio}"


def _origin(record: Record) -> str:
    machine, versions = record["machine"], record["versions"]
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"<sub>{record['date']}, `{record['command']}`, {machine['processor']}, {machine['cores']} cores "
        f"(load {machine['load_at_start']} at the start), {record['threads']} threads. {told}.</sub>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), "|" + "---|" * len(head), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

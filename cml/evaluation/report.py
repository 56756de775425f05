"""An evaluation with the baselines beside it, as one JSON document or as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.evaluation.baselines import BASELINES, Baseline
from cml.evaluation.evaluate import Difference, Evaluation, HeldOut, compare, evaluate, longest_list, score


@dataclass(frozen=True, eq=False)
class Report:
    """A model's evaluation, its intervals, and how far it is from each baseline on the same users."""

    held_out: HeldOut
    ks: tuple[int, ...]
    model: Evaluation
    intervals: Mapping[str, tuple[float, float]]
    baselines: Mapping[str, Evaluation]
    differences: Mapping[str, Mapping[str, Difference]]  # baseline -> metric -> model - baseline

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: `metrics`, `intervals`, `baselines`, `differences`, counts and `k`."""
        return {
            "metrics": self.model.metrics(),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "baselines": {name: baseline.metrics() for name, baseline in self.baselines.items()},
            "differences": {
                name: {metric: [d.mean, d.low, d.high] for metric, d in differences.items()}
                for name, differences in self.differences.items()
            },
            "users": len(self.held_out),
            "held_out": int(self.held_out.counts.sum()),
            "unknown_users": self.held_out.unknown_users,
            "unknown_items": self.held_out.unknown_items,
            "already_seen": self.held_out.already_seen,
            "k": list(self.ks),
        }

    def text(self) -> str:
        """The table, one line a metric, with what was counted below."""
        rows = [["metric", "model", "95 % interval", *self.baselines]]
        baselines = {name: baseline.metrics() for name, baseline in self.baselines.items()}
        for metric, value in self.model.metrics().items():
            ends = self.intervals.get(metric)
            interval = f"{ends[0]:.4f} - {ends[1]:.4f}" if ends else ""
            others = [f"{values[metric]:.4f}{self._mark(name, metric)}" for name, values in baselines.items()]
            rows.append([metric, f"{value:.4f}", interval, *others])
        return "\n".join([*_aligned(rows), "", *self._remarks()])

    def _mark(self, baseline: str, metric: str) -> str:
        difference = self.differences[baseline].get(metric)
        return "*" if difference and difference.clear else " "

    def _remarks(self) -> list[str]:
        held = self.held_out
        lines = [f"{len(held):,} users, {int(held.counts.sum()):,} held-out items, all unseen items ranked"]
        if self.baselines:
            lines.append("* the 95 % interval of the difference to the model, user by user, leaves out zero")
        if held.unknown_items:
            lines.append(f"{held.unknown_items:,} held-out items are unknown to the model: counted as misses")
        if held.unknown_users:
            lines.append(f"{held.unknown_users:,} held-out users are unknown to the model: not ranked for")
        if held.already_seen:
            lines.append(f"{held.already_seen:,} held-out pairs were seen before: left out")
        return lines


def report(
    user_vectors: NDArray | Tensor,
    item_vectors: NDArray | Tensor,
    liked: csr_array,
    held_out: HeldOut,
    ks: Sequence[int],
    rng: np.random.Generator,
    *,
    baselines: Mapping[str, Baseline] = BASELINES,
    threads: int | None = None,
) -> Report:
    """Judge a model and the baselines, made from its training pairs `liked` (n_users, n_items), alike.

    Raises DataError when there is nobody to rank for.
    """
    model = evaluate(user_vectors, item_vectors, held_out, ks, threads=threads)
    k = longest_list(ks, held_out)
    others = {name: score(make(liked, held_out, k), held_out, ks) for name, make in baselines.items()}
    return Report(
        held_out=held_out,
        ks=tuple(sorted(set(ks))),
        model=model,
        intervals=model.intervals(rng),
        baselines=others,
        differences={name: compare(model, other, rng) for name, other in others.items()},
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """First column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

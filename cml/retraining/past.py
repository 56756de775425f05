"""What became of each retraining, one line each, and what it says about data and model over time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from cml.data.dataset import Dataset
from cml.errors import DataError
from cml.registry import Registry
from cml.vocabulary import Vocabulary

FILE = "retraining/history.jsonl"  # in the registry
CURRENT_VERSION = "current version"  # what a candidate is judged against, where it can be


def append(registry: Registry, document: dict[str, Any]) -> None:
    """Add one round to the history; a round that is there already (it was killed right after) changes nothing.

    Only one retraining at a time may do so: the file is replaced by a longer one.
    """
    line = row_of(document)
    if any(row["run"] == line["run"] and row["at"] == line["at"] for row in read(registry)):
        return
    before = registry.read(FILE) or b""
    if before and not before.endswith(b"\n"):  # a line that was cut off stays one line
        before += b"\n"
    registry.write(FILE, before + json.dumps(line).encode() + b"\n")


def read(registry: Registry) -> list[dict[str, Any]]:
    """All rounds, oldest first; a line that was cut off is left out. Raises DataError for a damaged file."""
    try:
        lines = (registry.read(FILE) or b"").decode().splitlines()
    except UnicodeDecodeError as error:
        where = f"{registry.place}/{FILE}"
        raise DataError(f"{where}: cannot be read: {error}; move it away, a new one is begun") from None
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"run", "at", "outcome"} <= row.keys():
            rows.append(row)
    return rows


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    """The report as one flat row; null for what the round did not come to."""
    verdict, baselines = document.get("verdict") or {}, document.get("baselines") or {}
    moved = document.get("displacement") or {}
    return {
        "run": document["run"],
        "at": document["started_at"],
        "outcome": document["outcome"],
        "reason": document["reason"],
        "version": document["version"],
        "before": document["before"],
        "warm": document.get("warm"),
        "metric": verdict.get("metric"),
        "candidate": verdict.get("candidate"),
        "other": verdict.get("other"),
        "against": verdict.get("against"),
        **{f"baseline {name}": value for name, value in baselines.items()},
        **{name: document["data"][name] for name in ("users", "items", "pairs", "liked", "new", "events")},
        "cold_users": document.get("cold_users"),
        "popularity_shift": document.get("popularity_shift"),
        "displacement": moved.get("after") if moved.get("items") else None,
        "epochs": (document.get("chosen") or {}).get("epochs"),
        "seconds": document["seconds"],
    }


def of_version_before(row: dict[str, Any]) -> float | None:
    """What the version before was worth on the judged pairs; None where popularity took its place."""
    return row.get("other") if row.get("against") == CURRENT_VERSION else None


def cold_share(judged: Dataset, known: Vocabulary) -> float:
    """The share of users with judged pairs whom the candidate's training data did not have."""
    users = np.unique(judged.user_rows)
    return float(np.mean([judged.users[row] not in known for row in users])) if len(users) else 0.0


def popularity_shift(before: Dataset, after: Dataset) -> float:
    """How different likes are spread over items: half the sum of the shares' differences, 0 to 1 [RETRAIN-3].

    0: items get the same shares of likes as before; 1: no item of one is liked in the other. Over the same items.
    """
    counts = [np.bincount(part.item_rows[part.liked], minlength=part.n_items) for part in (before, after)]
    if not all(count.sum() for count in counts):
        return 0.0
    shares = [count / count.sum() for count in counts]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)

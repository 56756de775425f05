"""Results as JSON files, each with its birthplace: date, machine, command, seed, versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.environment import REPOSITORY, machine, versions

RESULTS = REPOSITORY / "benchmarks" / "results"


def birthplace(script: str, arguments: Sequence[str], directories: Sequence[Path]) -> dict[str, Any]:
    """Where a figure comes from. A data directory is known by its name: where it lay is nobody's business."""
    names = {str(directory): f"DIR/{directory.name}" for directory in directories}
    words = [names.get(argument.rstrip("/"), argument) for argument in arguments]
    return {
        "date": date.today().isoformat(),
        "command": " ".join(["python -m", script, *words]),
        "machine": machine(),
        "versions": versions(),
    }


def write_record(kind: str, name: str, record: Mapping[str, Any], results: Path = RESULTS) -> Path:
    """Write `results/KIND-NAME.json`, replacing an earlier one."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{kind}-{name}.json"
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def read_records(kind: str, results: Path = RESULTS) -> list[dict[str, Any]]:
    """All records of a kind, by file name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob(f"{kind}-*.json"))]

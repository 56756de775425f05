"""The report of a retraining: a JSON document, and the same for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cml.durable import replace_file
from cml.registry import Registry


def write(run: Path, registry: Registry, document: dict[str, Any]) -> str:
    """Write report.json and report.txt into the run, and as the latest into the registry; where the latter is."""
    run.mkdir(parents=True, exist_ok=True)
    said = {
        "report.json": (json.dumps(document, indent=2) + "\n").encode(),
        "report.txt": (as_text(document) + "\n").encode(),
    }
    for name, content in said.items():
        replace_file(run / name, content)
        registry.write(f"retraining/{name}", content)
    return f"{registry.place}/retraining/report.json"


def as_text(document: dict[str, Any]) -> str:
    """The document for people, without a line break at the end."""
    data = document["data"]
    lines = [
        f"{document['outcome']}: {document['reason']}",
        f"  began {document['started_at']}, took {document['seconds']:.1f} s; run {document['run']}",
        f"  version {document['version'] or 'none'}, before {document['before'] or 'none'}",
        f"  data: {data['pairs']:,} pairs ({data['liked']:,} liked, {data['new']:,} of them new) of "
        f"{data['users']:,} users and {data['items']:,} items; {data['events']:,} events, "
        f"{data['file_pairs']:,} pairs from files, {data['erased_users']:,} erased users left out",
    ]
    return "\n".join(lines + (_judged(document) if "verdict" in document else []))


def _judged(document: dict[str, Any]) -> list[str]:
    verdict, moved = document["verdict"], document.get("displacement")
    baselines = ", ".join(f"{name} {value:.4f}" for name, value in document["baselines"].items())
    lines = [
        f"  judged on {document['judged_pairs']:,} latest pairs by {verdict['metric']}; baselines: {baselines}",
        f"  {'warm' if document['warm'] else 'cold'} start, {document['chosen']['epochs']} epochs, chosen on "
        f"{document['chosen_on_pairs']:,} pairs; cold users {document['cold_users']:.1%}, "
        f"popularity shift {document['popularity_shift']:.3f}",
    ]
    if moved and moved["items"]:
        lines.append(
            f"  {moved['items']:,} common items moved by {moved['before']:.3f} on average as trained, by "
            f"{moved['after']:.3f} when turned onto the version before"
        )
    return lines

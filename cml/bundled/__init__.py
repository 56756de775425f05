"""The films that come with the package, for the demo and the examples (see ATTRIBUTION.md)."""

from __future__ import annotations

from pathlib import Path


def bundled_interactions() -> Path:
    """CSV, gzipped: user_id, item_id, rating (0 to 10), timestamp (seconds)."""
    return _FOLDER / "interactions.csv.gz"


def bundled_items() -> Path:
    """CSV, gzipped: item_id, title, year, genres (separated by `|`)."""
    return _FOLDER / "items.csv.gz"


_FOLDER = Path(__file__).resolve().parent

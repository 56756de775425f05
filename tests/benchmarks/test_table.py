"""Tables come from the records, and the prose around them stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.records import write_record
from benchmarks.table import filled

BIRTHPLACE: dict[str, Any] = {
    "date": "2020-01-01",
    "command": "python -m benchmarks.quality --data DIR/tiny",
    "machine": {"processor": "abacus", "cores": 1, "load_at_start": 0.0},
    "versions": {"torch": "2"},
    "threads": 1,
    "data": "tiny",
    "split": "random",
}
PAGE = "Before.\n<!-- quality -->\nold\n<!-- end of quality -->\nAfter.\n"


def row(model: str, recall: float, **more: Any) -> dict[str, Any]:
    test = {"recall@50": recall, "ndcg@10": 0.1, "recall@20": 0.2, "ndcg@20": 0.3}
    return {"model": model, "settings": {"dim": 2}, "epoch": 1, "trials": [{}], "test": test} | more


def test_the_best_stands_first_with_its_seeds_and_its_gap(tmp_path: Path) -> None:
    ours = row("cml train", 0.4, seed_spread={"recall@50": 0.001}, test_of_each_seed=[{}, {}])
    record = BIRTHPLACE | {
        "counts": dict.fromkeys(("users", "items", "train_pairs", "valid_pairs", "test_pairs"), 1000),
        "models": [row("ease", 0.3), ours, {"model": "pytorchcml", "skipped": "it failed"}],
        "against_best_peer": {
            "recall@50": {"peer": "ease", "gap": {"mean": -0.1, "low": -0.2, "high": -0.05}}
        },
    }
    write_record("quality", "tiny", record, tmp_path)
    page = filled(PAGE, tmp_path)
    assert page.startswith("Before.\n")
    assert page.endswith("After.\n")
    assert "old" not in page
    assert page.index("**cml train** | 0.4000 ± 0.0010") < page.index("| EASE | 0.3000 |")
    assert "below the best peer, EASE: -0.1000" in page
    assert "Left out: PyTorchCML (it failed)." in page
    assert "abacus" in page
    assert filled(page, tmp_path) == page


def test_a_page_without_records_has_no_tables(tmp_path: Path) -> None:
    assert "|" not in filled(PAGE, tmp_path)


def test_defaults_stand_beside_what_a_budget_chose(tmp_path: Path) -> None:
    runs = [{"test": {"recall@50": recall, "ndcg@10": 0.1}} for recall in (0.2, 0.4)]
    record = BIRTHPLACE | {
        "counts": dict.fromkeys(("users", "items", "train_pairs", "valid_pairs", "test_pairs"), 1000),
        "budget": "15m",
        "models": {"defaults": runs, "auto": runs[1:]},
        "ratios": {"recall@50": 0.75, "ndcg@10": 1.0},
    }
    write_record("tuning", "tiny", record, tmp_path)
    page = filled("<!-- tuning -->\n<!-- end of tuning -->", tmp_path)
    assert "| `cml train` | 0.3000 | 0.1000 |" in page
    assert "| `cml train --auto 15m` | 0.4000 | 0.1000 |" in page
    assert "| ratio | 0.750 | 1.000 |" in page

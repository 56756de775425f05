"""`cml history`: a line for every round, and a picture that can be opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cml.commands.history import command
from cml.errors import DataError
from cml.registry import Registry
from cml.retraining import past
from cml.retraining.plot import figure_of


def document(day: int, outcome: str = "published", **verdict: Any) -> dict[str, Any]:
    """A report as a round leaves it."""
    judged = {"metric": "ndcg@10", "against": "current version", "other": 0.2} | verdict
    return {
        "run": f"{day:012d}",
        "started_at": f"2026-11-{day:02d}T03:15:00+00:00",
        "seconds": 12.5,
        "outcome": outcome,
        "reason": "no worse",
        "version": f"{day:06d}-0123456789ab" if outcome == "published" else None,
        "before": f"{day - 1:06d}-0123456789ab",
        "data": {"users": 10, "items": 20, "pairs": 100, "liked": 90, "new": 9, "events": 30},
        **(
            {
                "verdict": judged,
                "baselines": {"popularity": 0.1},
                "cold_users": 0.25,
                "popularity_shift": 0.125,
            }
            if verdict
            else {}
        ),
    }


@pytest.fixture
def models(tmp_path: Path) -> Path:
    home = Registry(tmp_path / "models")
    past.append(home, document(1, candidate=0.21))
    past.append(home, document(2, "refused", candidate=0.15))
    past.append(home, document(3, "nothing new"))
    return tmp_path / "models"


def history(models: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--models", str(models), *options])


def test_every_round_is_a_line_with_what_it_came_to(models: Path) -> None:
    lines = history(models).stdout.splitlines()
    assert lines[0].split() == [
        *("began", "outcome", "metric", "candidate", "current", "popularity", "new", "cold", "shift", "moved")
    ]
    first = [
        "2026-11-01",
        "03:15",
        "published",
        "ndcg@10",
        "0.2100",
        "0.2000",
        "0.1000",
        "9",
        "25.0%",
        "0.125",
        "-",
    ]
    assert lines[1].split() == first
    assert lines[3].split() == ["2026-11-03", "03:15", "nothing", "new", *"----", "9", *"---"]
    assert len(lines) == 4


def test_the_same_as_json_and_only_the_latest(models: Path) -> None:
    found = json.loads(history(models, "--last", "2", "--json").stdout)
    assert [row["outcome"] for row in found["rounds"]] == ["refused", "nothing new"]
    assert found["rounds"][0]["candidate"] == 0.15


@pytest.mark.parametrize(("name", "begins"), [("h.png", b"\x89PNG"), ("h.svg", b"<?xml"), ("h.pdf", b"%PDF")])
def test_a_picture_is_written_whole(models: Path, tmp_path: Path, name: str, begins: bytes) -> None:
    assert history(models, "--plot", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_the_picture_shows_refused_rounds_and_leaves_out_what_is_not_known(models: Path) -> None:
    quality = figure_of(past.read(Registry(models))).axes[0]
    drawn = {line.get_label(): list(line.get_ydata()) for line in quality.lines}
    assert drawn["new model"] == [0.21, 0.15]
    assert drawn["refused"] == [0.15]
    assert quality.get_ylabel() == "ndcg@10"


def test_popularity_does_not_pass_for_the_version_before(tmp_path: Path) -> None:
    home = Registry(tmp_path / "models")
    past.append(home, document(1, candidate=0.21, against="popularity"))
    past.append(home, document(2, candidate=0.23))
    lines = history(tmp_path / "models").stdout.splitlines()
    assert [line.split()[5] for line in lines[1:]] == ["-", "0.2000"]
    quality = figure_of(past.read(home)).axes[0]
    assert [list(line.get_ydata()) for line in quality.lines if line.get_label() == "version before"] == [
        [0.2]
    ]


def test_items_of_which_none_was_known_have_not_moved_by_nothing() -> None:
    moved = {"items": 0, "before": 0.0, "after": 0.0}
    assert past.row_of(document(1) | {"displacement": moved})["displacement"] is None
    assert past.row_of(document(1) | {"displacement": moved | {"items": 2}})["displacement"] == 0.0


def test_what_cannot_be_shown_is_told(models: Path, tmp_path: Path) -> None:
    for answer, said in (
        (history(tmp_path / "empty"), "nothing was retrained here yet"),
        (history(models, "--plot", str(tmp_path / "h.gif")), "written as png, svg, pdf"),
        (history(models, "--plot", str(tmp_path / "gone" / "h.png")), "cannot be written"),
    ):
        assert isinstance(answer.exception, DataError)
        assert said in str(answer.exception)

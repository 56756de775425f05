"""A new film and a real server: near the right users on every worker, and still there after a kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.end_to_end.servers import Server, server
from tests.end_to_end.test_server import ask
from tests.service.worlds import content, placing, publish

FILM = {"metadata": {"title": "The Thing", "genres": ["Horror"], "year": 1982}}


def answers(running: Server, user_id: str) -> dict[str, str]:
    """The first item of the user's list, by the worker that answered: every one of two workers does."""
    firsts: dict[str, str] = {}
    for _ in range(200):
        worker, found = ask(running.port, "GET", f"/v1/users/{user_id}/recommendations?k=1")
        firsts[worker] = found["items"][0]["item_id"]
        if len(firsts) == 2:
            return firsts
    raise AssertionError(f"only {set(firsts)} answered")


def kill_all(running: Server) -> None:
    """SIGKILL to the supervisor and its workers at once."""
    pid = running.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    assert len(children) >= 2
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)
    running.process.wait(20)


def test_a_new_film_is_recommended_by_both_workers_and_survives_kill_9(tmp_path: Path) -> None:
    publish(tmp_path / "models", placing(content()))
    with server(tmp_path / "models", "--workers", "2") as running:
        running.wait_for_starts(2)
        assert set(answers(running, "ann").values()) == {"i1"}
        _, film = ask(running.port, "PUT", "/v1/items/thing", FILM)
        assert (film["placed"], film["placed_by"]) == (True, ["genres", "year"])
        assert set(answers(running, "ann").values()) == {"thing"}
        assert "thing" not in answers(running, "bob").values()
        kill_all(running)
    with server(tmp_path / "models", "--workers", "2") as again:
        again.wait_for_starts(2)
        assert set(answers(again, "ann").values()) == {"thing"}
        assert ask(again.port, "GET", "/v1/items/thing")[1]["title"] == "The Thing"

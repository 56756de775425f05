"""Pieces of work in several threads: each done once, errors told, torch's own threads as before."""

from __future__ import annotations

import threading

import pytest
import torch

from cml.threads import side_by_side


def test_every_piece_is_done_once_and_a_worker_is_made_once_a_thread():
    done, makers = [], []
    both_work = threading.Barrier(2, timeout=10)

    def worker():
        makers.append(threading.get_ident())
        both_work.wait()  # nobody does everything before the other has come
        return done.append

    side_by_side(range(100), worker, threads=2)
    assert sorted(done) == list(range(100))
    assert len(set(makers)) == len(makers) == 2


def test_a_piece_that_fails_is_told_and_the_number_of_threads_is_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def fail(piece: int) -> None:
        assert torch.get_num_threads() == 1
        if piece == 3:
            raise ValueError("piece 3")

    try:
        with pytest.raises(ValueError, match="piece 3"):
            side_by_side(range(5), lambda: fail)
        assert torch.get_num_threads() == 2
        seen = []
        late = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        late.start()
        late.join()
        assert seen == [2]
    finally:
        torch.set_num_threads(before)

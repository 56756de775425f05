"""Pieces of work side by side, each whole piece in one thread: cheaper than threads inside every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")


def side_by_side(
    pieces: Iterable[Piece], worker: Callable[[], Callable[[Piece], None]], threads: int | None = None
) -> None:
    """Do all pieces in `threads` threads; None: as many as torch uses.

    `worker` is called once in each thread and gives what does a piece there, with torch operations that stay in it.
    Pieces are taken in order by whoever is free, so what a piece changes must not depend on the others.
    Raises what a piece raised, once all threads have stopped.
    """
    before = torch.get_num_threads()
    waiting = iter(tuple(pieces))  # shared: each thread takes the next piece

    def work(_: int) -> None:
        torch.set_num_threads(1)
        do = worker()
        for piece in waiting:
            do(piece)

    workers = threads or before
    try:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    finally:
        torch.set_num_threads(before)  # in a worker it also set the default of threads made later

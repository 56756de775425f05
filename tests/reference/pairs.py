"""Merging, filtering and splitting in plain Python, one row at a time."""

from __future__ import annotations

import math


def slow_merge(rows: list[tuple], rule: str) -> list[tuple]:
    """Rows are (user, item, rating, weight, time), None where missing; one row a pair, in file order."""
    groups: dict[tuple, list[int]] = {}
    for position, row in enumerate(rows):
        groups.setdefault(row[:2], []).append(position)
    survivors = {}
    for positions in groups.values():
        chosen = positions[0]
        for position in positions[1:]:
            if _beats(rows[position], rows[chosen], rule):
                chosen = position
        survivors[chosen] = list(rows[chosen])
        if rule == "sum" and len(positions) > 1:
            ratings = [rows[p][2] for p in positions if rows[p][2] is not None]
            survivors[chosen][2] = sum(ratings) if ratings else None
            survivors[chosen][3] = sum(rows[p][3] for p in positions)
    return [tuple(survivors[position]) for position in sorted(survivors)]


def slow_frequent(pairs: list[tuple[int, int]], min_user: int, min_item: int) -> set[tuple[int, int]]:
    """Drop one offending pair after the other until no user and no item has too few."""
    left = set(pairs)
    while True:
        for user, item in sorted(left):
            of_user = sum(1 for pair in left if pair[0] == user)
            of_item = sum(1 for pair in left if pair[1] == item)
            if of_user < min_user or of_item < min_item:
                left.remove((user, item))
                break
        else:
            return left


def _beats(later: tuple, earlier: tuple, rule: str) -> bool:
    """Whether a row further down in the file replaces the one chosen so far."""
    time, old_time = _low(later[4]), _low(earlier[4])
    if rule == "first":
        return time < old_time
    if rule == "max" and _low(later[2]) != _low(earlier[2]):
        return _low(later[2]) > _low(earlier[2])
    return time >= old_time


def _low(value: float | None) -> float:
    return -math.inf if value is None else value

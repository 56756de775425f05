"""Slow obvious twins of searching, filtering, diversifying and explaining: loops over plain numbers."""

from __future__ import annotations

from math import dist, exp, log


def nearest(point, vectors, k, allowed=None):
    """[(row, distance)] of the k nearest allowed rows, nearest first, equal ones by row."""
    rows = range(len(vectors)) if allowed is None else allowed
    ranked = sorted((dist(point, vectors[row]), row) for row in rows)
    return [(row, distance) for distance, row in ranked[:k]]


def matches(record, where):
    """Whether an item's metadata satisfies conditions on tags (lists) and numbers."""
    for column, condition in where.items():
        value = record.get(column)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for name, wanted in condition.items():
            if name == "any" and not any(one in values for one in wanted):
                return False
            if name == "all" and not all(one in values for one in wanted):
                return False
            if name == "none" and any(one in values for one in wanted):
                return False
            if name == "min" and (value is None or value < wanted):
                return False
            if name == "max" and (value is None or value > wanted):
                return False
    return True


def mmr(distances, vectors, strength, n):
    """Positions chosen by maximal marginal relevance, one after the other."""
    chosen = []
    while len(chosen) < min(n, len(distances)):
        best = None
        for candidate in range(len(distances)):
            if candidate in chosen:
                continue
            apart = min((dist(vectors[candidate], vectors[other]) for other in chosen), default=0.0)
            cost = (1 - strength) * distances[candidate] - strength * apart
            if best is None or cost < best[0]:
                best = (cost, candidate)
        chosen.append(best[1])
    return chosen


def smooth_warp_loss(point, liked, weights, negatives, counts, temperature):
    """Weighted sum over liked items of T log(1 + sum of count * exp((d_liked^2 - d_negative^2) / T))."""
    loss = 0.0
    for target, weight in zip(liked, weights, strict=True):
        near = dist(point, target) ** 2
        impostors = sum(
            count * exp((near - dist(point, negative) ** 2) / temperature)
            for negative, count in zip(negatives, counts, strict=True)
        )
        loss += weight * temperature * log(1 + impostors)
    return loss

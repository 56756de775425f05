"""Slow, obvious Wasserstein distances: try every assignment, add up areas between step functions."""

import itertools
import math


def distance(a, b):
    return math.sqrt(sum((s - t) ** 2 for s, t in zip(a, b, strict=True)))


def by_trying_every_assignment(x, y):
    """Equal sizes and equal weights: the best permutation is an optimal plan (Birkhoff)."""
    costs = [
        sum(distance(a, y[b]) for a, b in zip(x, order, strict=True))
        for order in itertools.permutations(range(len(y)))
    ]
    return min(costs) / len(x)


def by_repeating_points(x, y, p_counts, q_counts):
    """Weights as whole counts: repeat each point that often and try every assignment."""
    many_x = [point for point, count in zip(x, p_counts, strict=True) for _ in range(count)]
    many_y = [point for point, count in zip(y, q_counts, strict=True) for _ in range(count)]
    return by_trying_every_assignment(many_x, many_y)


def area_between_cumulatives(x, y, p, q):
    """integral |F - G|, piece by piece between consecutive places."""
    places = sorted([*x, *y])
    area = 0.0
    for left, right in itertools.pairwise(places):
        f = sum(weight for place, weight in zip(x, p, strict=True) if place <= left)
        g = sum(weight for place, weight in zip(y, q, strict=True) if place <= left)
        area += abs(f - g) * (right - left)
    return area


def steepest_pair(f, g, x, y):
    return max(
        abs(fa - gb) / distance(a, b) for fa, a in zip(f, x, strict=True) for gb, b in zip(g, y, strict=True)
    )

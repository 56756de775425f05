"""Losses in plain Python, one positive at a time, as slow and as obvious as the formulas."""

from __future__ import annotations

from math import exp, floor, log, sqrt


def squared(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def plain(x, y):
    return sqrt(squared(x, y))


def minkowski(x, y, p):
    return sum(abs(a - b) ** p for a, b in zip(x, y, strict=True)) ** (1 / p)


def contrastive(distance, similar, margin):
    return distance**2 if similar else max(0.0, margin - distance) ** 2


def triplet(d_pos, d_neg, margin):
    return max(0.0, d_pos - d_neg + margin)


def lmnn(d_pos, d_negs, push):
    violations = 0.0
    for d_neg in d_negs:
        violations += max(0.0, 1 + d_pos - d_neg)
    return (1 - push) * d_pos + push * violations


def impostors(d_pos, d_negs, margin):
    return [d_neg for d_neg in d_negs if margin + d_pos - d_neg > 0]


def exact_rank(d_pos, d_negs, margin):
    return len(impostors(d_pos, d_negs, margin))


def parallel_rank(d_pos, d_negs, margin, n_eligible):
    return floor(n_eligible * len(impostors(d_pos, d_negs, margin)) / len(d_negs)) if d_negs else 0


def sequential_rank(d_pos, d_negs, margin, n_eligible):
    for draws, d_neg in enumerate(d_negs, start=1):
        if margin + d_pos - d_neg > 0:
            return floor((n_eligible - 1) / draws)
    return 0


def warp(d_pos, d_negs, margin, rank, impostor):
    """The rank-weighted hinge on one impostor, or on the mean over them."""
    violating = impostors(d_pos, d_negs, margin)
    if not violating:
        return 0.0
    chosen = {"hardest": [min(violating)], "first": violating[:1], "mean": violating}[impostor]
    hinges = [margin + d_pos - d_neg for d_neg in chosen]
    return log(rank + 1) * sum(hinges) / len(hinges)


def smooth_warp(d_pos, d_negs, n_eligible, temperature):
    if not d_negs:
        return 0.0
    total = 0.0
    for d_neg in d_negs:
        total += exp((d_pos - d_neg) / temperature)
    return temperature * log(1 + n_eligible / len(d_negs) * total)


def covariance(points):
    n, dim = len(points), len(points[0])
    mean = [sum(point[a] for point in points) / n for a in range(dim)]
    total = 0.0
    for a in range(dim):
        for b in range(dim):
            if a != b:
                entry = sum((point[a] - mean[a]) * (point[b] - mean[b]) for point in points) / n
                total += entry**2
    return total / n

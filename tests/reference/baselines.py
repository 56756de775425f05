"""Baselines the slow, obvious way, over plain sets of liked items."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt


def slow_popularity(liked: Sequence[set[int]], n_items: int) -> list[int]:
    return [sum(item in items for items in liked) for item in range(n_items)]


def slow_cosine(liked: Sequence[set[int]], a: int, b: int) -> float:
    both = sum(a in items and b in items for items in liked)
    counts = slow_popularity(liked, max(a, b) + 1)
    return both / sqrt(counts[a] * counts[b]) if both else 0.0


def slow_neighbours(liked: Sequence[set[int]], n_items: int, item: int, neighbours: int) -> dict[int, float]:
    """The most similar other items with a similarity above zero, ties to the lower row."""
    similar = [
        (-slow_cosine(liked, item, other), other)
        for other in range(n_items)
        if other != item and slow_cosine(liked, item, other) > 0
    ]
    return {other: -negated for negated, other in sorted(similar)[:neighbours]}


def slow_item_item_scores(
    liked: Sequence[set[int]], n_items: int, profile: set[int], neighbours: int
) -> list[float]:
    """Summed similarity to the profile; items without any score below all others, by popularity."""
    scores = [0.0] * n_items
    for item in profile:
        for other, similarity in slow_neighbours(liked, n_items, item, neighbours).items():
            scores[other] += similarity
    popularity = slow_popularity(liked, n_items)
    return [score if score > 0 else -1 / (1 + popularity[item]) for item, score in enumerate(scores)]

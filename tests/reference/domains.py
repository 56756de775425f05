"""Slow, obvious twins of the domain diagnostics and of what adaptation minimises."""

import numpy as np


def cosine(a, b):
    return float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)


def changed_lists(places, before, users):
    """1 - Pearson's correlation, a user at a time; 0 for users who judge everything alike."""
    found = []
    for user in users:
        now, then = ([float(user @ place) for place in each] for each in (places, before))
        constant = len(set(now)) == len(set(then)) == 1
        found.append(0.0 if constant else 1 - float(np.corrcoef(now, then)[0, 1]))
    return found


def neighbour_overlap(features, places, k):
    n, shares = len(places), []
    for own in range(n):
        others = [row for row in range(n) if row != own]
        by_features = sorted(others, key=lambda row: -cosine(features[own], features[row]))[:k]
        by_place = sorted(others, key=lambda row: float(np.linalg.norm(places[own] - places[row])))[:k]
        shares.append(len(set(by_features) & set(by_place)) / k)
    return sum(shares) / n


def distance_on_a_line(a, b):
    """[W-5] for samples of equal size."""
    return sum(abs(x - y) for x, y in zip(sorted(a), sorted(b), strict=True)) / len(a)


def taste_places(users, liked, features, shrinkage):
    """Least squares over all users x items, one item at a time."""
    n, dim = users.shape
    scores = np.zeros((n, len(features)))
    for user in range(n):
        for own in range(len(features)):
            if liked[user, own]:
                for item in range(len(features)):
                    scores[user, item] += features[own] @ features[item]
    stacked = np.vstack([users, np.sqrt(shrinkage * n) * np.eye(dim)])
    places = [
        np.linalg.lstsq(stacked, np.concatenate([scores[:, item], np.zeros(dim)]), rcond=None)[0]
        for item in range(len(features))
    ]
    return np.array(places)

"""How far apart two catalogues lie: known answers, slow twins, and what each measure must not be fooled by."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from cml.evaluation.domains import compared, neighbour_overlap, proxy_a_distance, sliced_distance, spread
from tests.reference import domains as slow


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def cloud(n: int, *, shift: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)) + np.array([shift, 0, 0])


def test_a_linear_classifier_is_at_a_loss_within_one_cloud_and_never_wrong_between_two() -> None:
    assert proxy_a_distance(cloud(2000), cloud(500, seed=2), rng()) < 0.15
    assert proxy_a_distance(cloud(2000), cloud(500, shift=9, seed=2), rng()) == 2
    half = proxy_a_distance(
        cloud(4000), cloud(4000, shift=1.349, seed=2), rng()
    )  # error 1/4 at that distance
    assert half == pytest.approx(1, abs=0.07)


def test_the_sliced_distance_is_the_mean_over_lines() -> None:
    source, target = cloud(300), cloud(300, shift=2, seed=2)
    directions = rng().normal(size=(3, 64))
    directions /= np.linalg.norm(directions, axis=0)
    exact = [slow.distance_on_a_line(source @ line, target @ line) for line in directions.T]
    assert sliced_distance(source, target, rng()) == pytest.approx(np.mean(exact), rel=0.02)
    assert sliced_distance(source, source[::-1], rng()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_overlap_equals_its_slow_twin(sparse: bool) -> None:
    features = np.abs(np.random.default_rng(3).normal(size=(30, 6))) * np.arange(1, 31)[:, None]
    places = np.random.default_rng(4).normal(size=(30, 3)) + features[:, :3]
    got = neighbour_overlap(csr_array(features) if sparse else features, places, 4)
    assert got == pytest.approx(slow.neighbour_overlap(features, places, 4))
    assert 0.1 < got < 0.9


def test_a_collapse_closes_the_gap_and_is_seen() -> None:
    source, target = cloud(200), cloud(200, shift=3, seed=2)
    point = np.repeat(source.mean(axis=0)[None], 200, axis=0)
    looked = compared(source, point, target, rng())
    assert looked.sliced < compared(source, target, target, rng()).sliced
    assert looked.spread < 1e-12
    assert compared(source, target, target, rng()).spread == pytest.approx(spread(target) / spread(source))

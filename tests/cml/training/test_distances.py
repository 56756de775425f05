"""Distances against plain Python, and the axioms that make some of them metrics [D-1]."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cml.training import distances
from tests.reference import losses as slow

COVARIANCE = torch.tensor([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]], dtype=torch.float64)
METRICS = {
    "euclidean": distances.euclidean,
    "manhattan": distances.manhattan,
    "chebyshev": distances.chebyshev,
    "minkowski-1.5": lambda x, y: distances.minkowski(x, y, 1.5),
    "minkowski-3": lambda x, y: distances.minkowski(x, y, 3.0),
    "mahalanobis": lambda x, y: distances.mahalanobis(x, y, COVARIANCE),
}
coordinates = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=3, max_size=3)
points = coordinates.map(lambda values: torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("name", METRICS)
@given(x=points, y=points, z=points)
def test_a_metric_keeps_all_four_axioms(name, x, y, z):
    distance = METRICS[name]
    assert distance(x, x) == 0
    assert distance(x, y) >= 0
    assert distance(x, y) == pytest.approx(float(distance(y, x)))
    assert distance(x, z) <= distance(x, y) + distance(y, z) + 1e-9


def test_what_is_no_metric_breaks_the_triangle_inequality():
    x, y, z = (torch.tensor([value, 0.0]) for value in (0.0, 1.0, 2.0))
    squared = distances.squared_euclidean
    assert squared(x, z) > squared(x, y) + squared(y, z)
    east, between, north = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    cosine = distances.cosine
    assert cosine(east, north) > cosine(east, between) + cosine(between, north)


def test_the_inner_product_is_no_metric():
    """Two users with one favourite item need not be near each other's other items."""
    item, first, second = torch.tensor([[1.0, 1.0], [3.0, 0.0], [0.0, 3.0]])
    dissimilarity = lambda x, y: -(x @ y)  # noqa: E731
    assert dissimilarity(first, second) > dissimilarity(first, item) + dissimilarity(item, second)
    assert dissimilarity(item, item) != 0


X, Y = [0.5, -1.0, 2.0], [1.5, 3.0, -0.25]


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (distances.euclidean, slow.plain(X, Y)),
        (distances.squared_euclidean, slow.squared(X, Y)),
        (distances.manhattan, slow.minkowski(X, Y, 1)),
        (distances.chebyshev, max(abs(a - b) for a, b in zip(X, Y, strict=True))),
        (lambda x, y: distances.minkowski(x, y, 3), slow.minkowski(X, Y, 3)),
        (distances.cosine, 1 - (0.5 * 1.5 - 3.0 - 0.5) / (5.25**0.5 * 11.3125**0.5)),
    ],
)
def test_distances_equal_plain_arithmetic(got, wanted):
    assert float(got(torch.tensor(X), torch.tensor(Y))) == pytest.approx(wanted)


def test_mahalanobis_whitens_with_the_covariance():
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    difference = x - y
    wanted = (difference @ torch.linalg.inv(COVARIANCE) @ difference).sqrt()
    assert float(distances.mahalanobis(x, y, COVARIANCE)) == pytest.approx(float(wanted))
    with pytest.raises(torch.linalg.LinAlgError):
        distances.mahalanobis(x, y, -COVARIANCE)


def test_minkowski_below_one_is_refused():
    with pytest.raises(ValueError, match="use p >= 1"):
        distances.minkowski(torch.zeros(2), torch.ones(2), 0.5)


def test_all_squared_distances_come_from_one_product():
    x, y = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.randn(4, 3)
    got = distances.squared_distances(x, y)
    for row in range(5):
        for column in range(4):
            assert float(got[row, column]) == pytest.approx(
                slow.squared(x[row].tolist(), y[column].tolist()), rel=1e-4
            )
    assert (distances.squared_distances(x, x).diagonal() >= 0).all()

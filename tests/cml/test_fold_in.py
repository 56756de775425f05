import numpy as np
import pytest

from cml.fold_in import (
    MEAN_USER_LIKES,
    FoldIn,
    Liked,
    Negatives,
    Prior,
    recency_weights,
    smooth_warp_gradient,
)
from tests.cml.small_models import points
from tests.reference.lists import smooth_warp_loss

T = 0.3


@pytest.fixture
def items():
    return points(60, 6, np.random.default_rng(0))


def gradient(point, liked, weights, negatives, counts):
    return smooth_warp_gradient(
        point, Liked.of(liked, weights, T), Negatives.of(negatives, np.log(counts), T), T
    )


def test_the_gradient_is_the_slope_of_the_slow_loss(items):
    items = items.astype(np.float64)
    point = np.array([0.3, -0.2, 0.5, 0.1, 0.0, -0.4])
    liked, negatives = items[:3], items[3:20]
    weights, counts = np.array([0.2, 0.5, 0.3]), np.linspace(1, 9, 17)
    got = gradient(point, liked, weights, negatives, counts)
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = 1e-5
        up, down = (
            smooth_warp_loss(at.tolist(), liked.tolist(), weights, negatives.tolist(), counts, T)
            for at in (point + step, point - step)
        )
        assert got[axis] == pytest.approx((up - down) / 2e-5, rel=1e-5)


def loss_at(point, items, liked):
    others = [row for row in range(len(items)) if row not in liked]
    weights = [1 / len(liked)] * len(liked)
    return smooth_warp_loss(
        point.tolist(), items[liked].tolist(), weights, items[others].tolist(), [1] * len(others), T
    )


def test_the_point_is_the_best_one_in_the_ball(items):
    liked = [4, 17, 33]
    point = FoldIn(items, temperature=T, radius=1.0).point(np.array(liked))
    best = min(loss_at(other, items, liked) for other in points(3000, 6, np.random.default_rng(1)))
    assert np.linalg.norm(point) <= 1 + 1e-6
    assert loss_at(point, items, liked) < best + 0.01


def test_the_start_does_not_decide_where_it_ends(items):
    fold = FoldIn(items, temperature=T, radius=1.0)
    liked = np.array([4, 17, 33])
    one, other = (fold.point(liked, start=start) for start in points(2, 6, np.random.default_rng(2)))
    assert abs(loss_at(one, items, liked.tolist()) - loss_at(other, items, liked.tolist())) < 0.02


def test_points_stay_in_a_ball_of_any_radius(items):
    for radius in (0.5, 1.0, 2.0):
        point = FoldIn(items * radius, temperature=T, radius=radius).point(np.array([1, 2]))
        assert np.linalg.norm(point) <= radius * (1 + 1e-6)


def test_a_heavier_item_pulls_harder(items):
    fold = FoldIn(items, temperature=T, radius=1.0)
    liked = np.array([5, 40])
    distances = [
        np.linalg.norm(fold.point(liked, np.array([weight, 1.0])) - items[5]) for weight in (0.1, 1.0, 10.0)
    ]
    assert distances[0] > distances[1] > distances[2]
    same = fold.point(liked, np.array([20.0, 2.0])), fold.point(liked, np.array([10.0, 1.0]))
    np.testing.assert_allclose(*same, atol=1e-5)


def test_a_disliked_item_pushes_away_and_more_so_with_weight(items):
    fold = FoldIn(items, temperature=T, radius=1.0)
    liked = np.array([5, 40])
    disliked = np.array([12])
    plain = np.linalg.norm(fold.point(liked) - items[12])
    light, heavy = (
        np.linalg.norm(fold.point(liked, disliked=disliked, disliked_weights=np.array([w])) - items[12])
        for w in (0.1, 10.0)
    )
    assert plain < light < heavy


def test_the_users_own_items_are_no_negatives():
    own = [[1, 0], [0.9, 0.3], [0.9, -0.3], [0.8, 0.5], [0.2, 0.9], [0.9, 0.1], [0.95, -0.2]]
    other = [-0.3, -0.6]
    point = FoldIn(np.array([*own, other], dtype=np.float32), temperature=T, radius=1.0).point(np.arange(7))

    def loss(at):
        return smooth_warp_loss(at, own, [1 / 7] * 7, [other], [1], T)

    best = min(loss((np.cos(angle), np.sin(angle))) for angle in np.linspace(0, 2 * np.pi, 361))
    assert loss(point.tolist()) < best + 0.002


def test_liking_the_whole_catalogue_gives_a_point_too(items):
    point = FoldIn(items, temperature=T, radius=1.0).point(np.arange(60))
    assert np.isfinite(point).all()


def test_a_sample_of_the_catalogue_gives_about_the_point_of_all_of_it():
    rng = np.random.default_rng(3)
    items = points(4000, 16, rng)
    liked = rng.integers(0, 4000, 12)
    whole = FoldIn(items, temperature=T, radius=1.0, pool=4000).point(liked)
    sample = FoldIn(items, temperature=T, radius=1.0, pool=1000).point(liked)
    assert np.linalg.norm(whole - sample) < 0.25


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0]])
def test_weights_that_mean_nothing_are_refused(items, weights):
    with pytest.raises(ValueError, match="positive"):
        FoldIn(items, temperature=T, radius=1.0).point(np.array([1, 2]), np.array(weights))


def test_weights_may_differ_by_any_factor(items):
    fold, liked, disliked = FoldIn(items, temperature=T, radius=1.0), np.array([5, 40]), np.array([7, 50])
    prior = Prior(np.array([0.2, -0.5, 0.3, 0.1, -0.4, 0.2], np.float32), 1.0)

    def point(weights, away=(1e-300, 1e-300), prior=None):
        return fold.point(
            liked, np.array(weights), disliked=disliked, disliked_weights=np.array(away), prior=prior
        )

    np.testing.assert_allclose(point([1e-300, 1.0]), point([1e-9, 1.0]), atol=1e-5)
    np.testing.assert_allclose(point([1e-300, 2e-300], prior=prior), prior.place, atol=1e-4)
    np.testing.assert_allclose(
        point([1e-300, 2e-300], (1e3, 1.0)), point([1e-9, 2e-9], (1e3, 1.0)), atol=1e-5
    )
    np.testing.assert_allclose(point([1e-300, 2e-300], (1e-300, 2e-300)), point([1, 2], (1, 2)), atol=1e-6)


def test_no_liked_item_is_refused(items):
    with pytest.raises(ValueError, match="liked"):
        FoldIn(items, temperature=T, radius=1.0).point(np.empty(0, dtype=np.int64))


def test_weights_halve_with_age_and_unknown_times_count_fully():
    day = 86400.0
    times = np.array([100 * day, 70 * day, np.nan, 40 * day])
    np.testing.assert_allclose(recency_weights(times, half_life=30 * day), [1, 0.5, 1, 0.25])
    np.testing.assert_allclose(recency_weights(np.array([np.nan, np.nan])), [1, 1])
    np.testing.assert_array_equal(recency_weights(np.array([-1e308, 1.7e308, np.nan])), [0, 1, 1])


@pytest.mark.parametrize("weight", [0.3, 1.0, 5.0])
def test_with_a_prior_the_point_is_the_best_one_for_likes_and_prior_together(items, weight):
    liked, place = [4, 17, 33], np.array([0.2, -0.5, 0.3, 0.1, -0.4, 0.2], np.float32)

    def loss(point):
        return 3 * loss_at(point, items, liked) + weight * float(((point - place) ** 2).sum())

    fold = FoldIn(items, temperature=T, radius=1.0)
    point = fold.point(np.array(liked), prior=Prior(place, weight))
    others = points(3000, 6, np.random.default_rng(1))
    near = point + np.random.default_rng(2).normal(size=(1000, 6)) * 0.05
    near /= np.maximum(1, np.linalg.norm(near, axis=1, keepdims=True))
    assert np.linalg.norm(point) <= 1 + 1e-6
    assert loss(point) < min(map(loss, (*others, *near, fold.point(np.array(liked)), place))) + 0.01


@pytest.mark.parametrize(
    ("weights", "effective"), [([1, 1, 1], 3), ([1e-4] * 3, 3), ([1, 1, 1e-9], 2), ([1, 1, 2], 16 / 6)]
)
def test_without_a_prior_the_mean_user_is_one_whatever_the_unit_of_the_weights(items, weights, effective):
    liked, weights = np.array([4, 17, 33]), np.array(weights)
    mean = np.array([0.2, -0.5, 0.3, 0.1, -0.4, 0.2], np.float32)
    told = Prior(mean, MEAN_USER_LIKES * weights.sum() / effective)
    point = FoldIn(items, temperature=T, radius=1.0, users=mean[None]).point(liked, weights)
    np.testing.assert_allclose(
        point, FoldIn(items, temperature=T, radius=1.0).point(liked, weights, prior=told), atol=1e-6
    )


def test_the_less_is_known_the_nearer_to_the_mean_user(items):
    items[:20] = items[0] + 0.01 * items[20:40]  # of one kind
    mean = -items[0] / 2
    fold = FoldIn(items, temperature=T, radius=1.0, users=mean[None])
    plain = FoldIn(items, temperature=T, radius=1.0)
    gaps = [float(np.linalg.norm(fold.point(np.arange(n)) - mean)) for n in (1, 2, 4, 8)]
    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[-1] / 2
    features = Prior(items[7], 2.0)
    np.testing.assert_array_equal(
        fold.point(np.arange(3), prior=features), plain.point(np.arange(3), prior=features)
    )


@pytest.mark.parametrize("unit", [1.0, 0.1])
def test_the_mean_user_is_the_rest_of_a_prior_that_says_little(items, unit):
    mean, place = points(2, 6, np.random.default_rng(4))
    told, liked = 0.4 * MEAN_USER_LIKES * unit, np.array([5, 40])
    point = FoldIn(items, temperature=T, radius=1.0, users=mean[None]).point(
        liked, np.full(2, unit), prior=Prior(place, told)
    )
    together = Prior(0.4 * place + 0.6 * mean, MEAN_USER_LIKES * unit)
    expected = FoldIn(items, temperature=T, radius=1.0).point(liked, np.full(2, unit), prior=together)
    np.testing.assert_allclose(point, expected, atol=1e-6)


def test_a_prior_counts_as_so_many_likes_of_weight_one(items):
    fold, liked = FoldIn(items, temperature=T, radius=1.0), np.array([5, 40])
    prior = Prior(np.array([0.2, -0.5, 0.3, 0.1, -0.4, 0.2], np.float32), 2.0)
    gaps = [
        float(np.linalg.norm(fold.point(liked, np.full(2, weight), prior=prior) - prior.place))
        for weight in (1e-4, 0.1, 1.0, 10.0, 1e4)
    ]
    assert gaps == sorted(gaps)
    assert gaps[0] < 1e-3
    np.testing.assert_allclose(fold.point(liked, np.full(2, 1e4), prior=prior), fold.point(liked), atol=5e-3)
    half = fold.point(liked, np.full(2, 0.5), prior=prior._replace(weight=1.0))
    np.testing.assert_allclose(half, fold.point(liked, np.full(2, 1.0), prior=prior), atol=1e-6)

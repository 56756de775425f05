"""The default loss is as soft as the start's own distances say."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cml.config import ModelConfig, load_config
from cml.training import temperature as rule
from cml.training.rules import LEAST_TEMPERATURE, MOST_TEMPERATURE, REGULARIZATION
from cml.training.space import Space, project_to_ball
from cml.training.start import REGULARIZATIONS, starting_space
from cml.training.temperature import SOFTER, softer_by, temperature_of
from cml.training.trainer import fit
from tests.cml.training_worlds import scattered, two_tastes
from tests.reference.temperature import likeliest


def _liking_by(temperature, *, users=90, items=50, radius=1.0, seed=0):
    """A space and likes drawn from it with probability in proportion to exp(-d^2 / T)."""
    rng = np.random.default_rng(seed)
    space = Space(
        *(
            project_to_ball(torch.from_numpy(rng.normal(size=(n, 6)).astype(np.float32)), radius)
            for n in (users, items)
        ),
        radius,
    )
    logits = -torch.cdist(space.users, space.items).square().numpy() / temperature
    shares = np.exp(logits - logits.max(1, keepdims=True))
    liked = np.array([rng.random(items) < 12 * row / row.sum() for row in shares])
    liked[np.arange(users), shares.argmax(1)] = True
    return space, liked


@pytest.mark.parametrize("radius", [1.0, 0.5])
@pytest.mark.parametrize("drawn_with", [0.05, 0.08])
def test_it_is_a_multiple_of_the_likeliest(drawn_with, radius):
    space, liked = _liking_by(drawn_with * radius**2, radius=radius)
    bounds = (bound * radius**2 / SOFTER for bound in (LEAST_TEMPERATURE, MOST_TEMPERATURE))
    expected = likeliest(space.users.numpy(), space.items.numpy(), liked, *bounds)
    assert LEAST_TEMPERATURE < SOFTER * expected / radius**2 < MOST_TEMPERATURE  # or bounds would decide
    found = temperature_of(space, csr_array(liked.astype(np.float32)), REGULARIZATION)
    assert found == pytest.approx(SOFTER * expected, rel=5e-3)


@pytest.mark.parametrize(("regularization", "times"), [(0.008, 3.4225), (0.02, 2.6), (0.05, 1.9751)])
def test_the_multiple_falls_as_the_start_is_regularised_more_strongly(regularization, times):
    space, liked = _liking_by(0.06)
    expected = times * likeliest(space.users.numpy(), space.items.numpy(), liked, 0.02, 0.2)
    found = temperature_of(space, csr_array(liked.astype(np.float32)), regularization)
    assert found == pytest.approx(expected, rel=5e-3)


def test_it_stays_within_bounds_where_likes_are_as_near_or_as_far_as_can_be():
    space, _ = _liking_by(0.05)
    distances = torch.cdist(space.users, space.items)
    for order, bound in ((1, LEAST_TEMPERATURE), (-1, MOST_TEMPERATURE)):
        first = torch.zeros_like(distances)
        first[torch.arange(len(distances)), (order * distances).argmin(1)] = 1
        found = temperature_of(space, csr_array(first.numpy()), REGULARIZATION)
        assert found == pytest.approx(bound, rel=2e-2)


def test_users_without_likes_and_weights_change_nothing():
    space, liked = _liking_by(0.05)
    likes = csr_array(liked.astype(np.float32))
    more = Space(torch.cat([space.users, torch.zeros(5, 6)]), space.items, space.radius)
    longer = csr_array(
        (likes.data * 7, likes.indices, np.append(likes.indptr, [likes.nnz] * 5)), shape=(95, 50)
    )
    assert temperature_of(more, longer, 0.02) == temperature_of(space, likes, 0.02)


@pytest.mark.parametrize(("distances", "users"), [(1 << 22, 128), (64 * 400, 64), (1, 16)])
def test_some_users_stand_for_many(monkeypatch, distances, users):
    space, liked = _liking_by(0.05, users=400, items=400)
    asked = np.linspace(0, 399, users).astype(int)
    expected = likeliest(space.users.numpy()[asked], space.items.numpy(), liked[asked], 0.01, 0.3)
    monkeypatch.setattr(rule, "DISTANCES", distances)
    found = temperature_of(space, csr_array(liked.astype(np.float32)), REGULARIZATION)
    assert found == pytest.approx(SOFTER * expected, rel=5e-3)


def test_training_takes_it_from_the_start_that_validation_chooses_or_the_configuration_gives():
    positives, rng = scattered(users=200, items=600).positives(), np.random.default_rng
    found = {}
    for strength, values in zip(REGULARIZATIONS, np.eye(3), strict=True):
        left = iter(values)
        chosen = starting_space(positives, ModelConfig(dim=32), rng(0), lambda _, left=left: next(left))
        given = starting_space(positives, ModelConfig(dim=32, regularization=strength), rng(0))
        assert chosen.regularization == given.regularization == strength
        assert chosen.temperature == given.temperature == temperature_of(chosen.space, positives, strength)
        assert LEAST_TEMPERATURE < chosen.temperature < 0.99 * MOST_TEMPERATURE  # or a bound would decide
        found[strength] = chosen.temperature / softer_by(strength)
    assert starting_space(positives, ModelConfig(dim=32), rng(0)).regularization == REGULARIZATION
    assert found[0.008] < found[0.02] < found[0.05]


@pytest.mark.parametrize(
    ("given", "expected"), [((), None), (("temperature=0.7",), 0.7), (("start=random",), "by density")]
)
def test_what_was_given_stays_and_the_fit_says_what_was_decided(given, expected):
    train, _ = two_tastes()
    config = load_config(overrides=("dim=4", "epochs=1", "pool=20", *given))
    decided = fit(train, config).config.train.temperature
    if expected is None:
        begin = starting_space(train.positives(), config.model, config.rng("start"))
        assert decided == begin.temperature
    elif expected == "by density":
        assert decided == pytest.approx((800 / 2400) ** 0.25, abs=1e-4) or decided == MOST_TEMPERATURE
    else:
        assert decided == expected

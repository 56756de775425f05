"""The feature loss in training: fitted extractors, the pull on vectors, and who feels it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, random_array

from cml.catalogue import Catalogue
from cml.config import FeatureConfig, load_config
from cml.errors import ConfigError, DataError
from cml.training.checkpoint import Checkpoint
from cml.training.features import EncodedFeatures, FeaturePrior
from cml.training.perceptron import fit_perceptron
from cml.training.plan import Plan
from cml.training.ridge import ridge
from cml.training.space import Space
from cml.training.trainer import fit
from tests.cml.training.test_engine import first_step
from tests.cml.training_worlds import saving_until, scattered, two_tastes
from tests.reference import features as slow


def features_of(n_items: int, **settings: object) -> EncodedFeatures:
    """Items with one of three genres and a year; every fifth knows neither."""
    known = [None if row % 5 == 4 else row for row in range(n_items)]
    columns = {
        "genres": [row if row is None else ["abc"[row % 3]] for row in known],
        "year": [row if row is None else 1990.0 + row % 7 for row in known],
    }
    catalogue = Catalogue.from_columns(n_items, columns)
    return EncodedFeatures.of(catalogue, FeatureConfig(columns=("genres", "year"), **settings))


def places_in(items: np.ndarray, **settings: object) -> tuple[EncodedFeatures, np.ndarray]:
    features = features_of(len(items), **settings)
    return features, features.placer(items, 1.0).place_rows(features.rows).vectors


def test_the_regression_equals_its_slow_twin() -> None:
    rng = np.random.default_rng(0)
    rows = csr_array(random_array((60, 25), density=0.2, rng=rng), dtype=np.float32)
    rows = csr_array(rows + csr_array(np.outer(np.ones(60), np.eye(25)[0] * 3)))  # one column that all share
    targets = rng.normal(size=(60, 4)).astype(np.float32)
    got = ridge(rows.astype(np.float32), targets, 0.7)
    np.testing.assert_allclose(got, slow.ridge(rows.toarray(), targets, 0.7), atol=2e-4)


def test_a_perceptron_fits_what_a_line_cannot() -> None:
    """Points by whether exactly one of two tags is there."""
    rows = np.tile(np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32), (64, 1))
    targets = np.where(rows.sum(1, keepdims=True) == 1, 0.5, -0.5).astype(np.float32) @ np.ones(
        (1, 2), np.float32
    )
    settings = FeatureConfig(hidden=(16,), passes=60, penalty=1e-3, extractor_rate=0.02)
    mean = targets.mean(0)
    layers = fit_perceptron(csr_array(rows), targets, mean, settings)
    hidden = np.maximum(rows @ layers[0].weight + layers[0].bias, 0)
    np.testing.assert_allclose(hidden @ layers[1].weight + layers[1].bias, targets, atol=0.1)
    again = fit_perceptron(csr_array(rows), targets, mean, settings)
    assert all(np.array_equal(one.weight, other.weight) for one, other in zip(layers, again, strict=True))


@pytest.mark.parametrize("gradient", ["analytic", "autograd"])
def test_the_pull_in_a_step_equals_its_slow_twin(gradient: str) -> None:
    world = scattered()
    config = load_config(
        overrides=("dim=5", "pool=12", "batch=pairs", "batch_size=17", f"gradient={gradient}")
    )
    start = Space.random(world.n_users, world.n_items, 5, 1.0, torch.Generator().manual_seed(1))
    plain = Plan.of(world, config, start)
    drawn = Plan.of(world, config, start, features=features_of(world.n_items, weight=3.0))
    assert drawn.prior is not None
    drawn.prior.renew(drawn.space.items)
    one, other = plain.engine.gradients(*first_step(plain)), drawn.engine.gradients(*first_step(drawn))
    touched, items = other.items.numpy(), drawn.space.items.double().numpy()
    places = drawn.prior.places.double().numpy()
    positives = world.positives().nnz
    share = 17 / positives * world.n_items / len(touched)
    weights = [0.0 if row % 5 == 4 else 3.0 * share for row in touched]
    before = slow.feature_loss(places[touched], items[touched], weights)
    assert other.report.features == pytest.approx(before, rel=1e-5)
    pull = (other.by_items - one.by_items).numpy()
    for at, row in enumerate(touched):
        moved = items[touched].copy()
        moved[at, 2] += 1e-4
        change = slow.feature_loss(places[touched], moved, weights) - before
        assert pull[at, 2] == pytest.approx(change / 1e-4, abs=2e-3), row


def test_over_an_epoch_each_item_feels_its_weight_once() -> None:
    features = features_of(20, weight=2.0)
    prior = FeaturePrior.of(features, torch.zeros(20, 3), 1.0, positives=50)
    prior.renew(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 0.1)
    everyone = torch.arange(20)
    total = sum(prior.share(everyone, 10) for _ in range(5))
    assert total.tolist() == pytest.approx([0.0 if row % 5 == 4 else 2.0 for row in range(20)])


def test_items_with_few_likes_lean_on_their_features_and_others_do_not() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 0.2
    features, places = places_in(vectors, weight=2.0)
    leaned = features.leaned(vectors, np.array([0, 2, 1000, 5, 0] * 4), 1.0)
    np.testing.assert_allclose(leaned[0], places[0], atol=1e-6)
    np.testing.assert_allclose(leaned[1], (vectors[1] + places[1]) / 2, atol=1e-6)
    np.testing.assert_allclose(leaned[2], vectors[2], atol=2e-3)
    np.testing.assert_array_equal(leaned[4], vectors[4])  # neither likes nor features


def test_places_have_the_mean_length_and_lie_with_their_kind() -> None:
    rng = np.random.default_rng(0)
    corners = np.eye(3, 6, dtype=np.float32) * 0.6
    vectors = corners[np.arange(60) % 3] + rng.normal(size=(60, 6)).astype(np.float32) * 0.05
    _, places = places_in(vectors)
    mean = np.linalg.norm(vectors[np.arange(60) % 5 != 4], axis=1).mean()
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), mean, rtol=1e-5)
    known = np.flatnonzero(np.arange(60) % 5 != 4)
    assert (np.argmax(places[known, :3], axis=1) == known % 3).all()


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_resumed_run_with_features_ends_exactly_like_an_uninterrupted_one(tmp_path, hidden) -> None:
    world = two_tastes()[0]
    features = features_of(world.n_items, hidden=hidden)
    config = load_config(overrides=("dim=6", "epochs=4", "batch_size=64"))
    undisturbed = fit(world, config, features=features)

    checkpoint = Checkpoint(tmp_path / "state", "run", pause=0.0)
    fit(world, config, features=features, save=saving_until(2, checkpoint))
    resumed = fit(world, config, features=features, resume=checkpoint.resume)
    assert torch.equal(resumed.space.items, undisturbed.space.items)
    without = fit(world, config)
    assert not torch.equal(without.space.items, undisturbed.space.items)


def test_items_of_training_without_any_value_are_refused_although_others_have_some() -> None:
    nothing = Catalogue.from_columns(2, {"genres": [None, None]}, {"genres": "tags"})
    others = Catalogue.from_columns(2, {"genres": [["a"], ["b"]]}, {"genres": "tags"})
    with pytest.raises(DataError, match="genres: no item of the training data has a value"):
        EncodedFeatures.of(nothing, FeatureConfig(columns=("genres",)), beside=others)


def test_a_fingerprint_follows_the_values_and_columns_that_are_not_there_are_refused() -> None:
    features = features_of(10)
    assert features.fingerprint() == features_of(10).fingerprint()
    other = replace(features, rows=features.encoder.encode([{"genres": "a"}] * 10))
    assert features.fingerprint() != other.fingerprint()
    catalogue = Catalogue.from_columns(2, {"year": [1990, 1991]})
    with pytest.raises(ConfigError, match="no column 'genre', only year"):
        EncodedFeatures.of(catalogue, FeatureConfig(columns=("genre",)))
    with pytest.raises(ConfigError, match="unknown kind 'number'"):
        EncodedFeatures.of(catalogue, FeatureConfig(columns=("year:number",)))

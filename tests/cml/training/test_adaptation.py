"""An extractor adapted to a second catalogue: the gap closes, classes stay apart, and chance is handed in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from cml.config import FeatureConfig
from cml.errors import TrainingError
from cml.evaluation.domains import sliced_distance, spread
from cml.features.encoding import SparseRows
from cml.features.extractor import Extractor, Layer
from cml.training.adaptation import AdaptationSettings, TrainedExtractor, adapt, changed_lists
from cml.training.alignments import alignment_of, critic_gap
from cml.training.taste import leaning, taste_places
from tests.reference import domains as slow

DIM = 4


def rows_of(matrix: np.ndarray) -> SparseRows:
    rows = csr_array(matrix.astype(np.float32))
    return SparseRows(rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data, matrix.shape[1])


def two_catalogues(seed: int = 0) -> tuple[Extractor, SparseRows, np.ndarray, SparseRows, np.ndarray]:
    """Columns: two classes, a mark of the source, one of the target, which the extractor puts elsewhere."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 2, 400)
    marks = np.repeat([0, 1], 200)
    features = np.eye(2)[classes] + rng.normal(size=(400, 2)) * 0.1
    both = np.hstack([features, np.eye(2)[marks]])
    weight = np.zeros((4, DIM), np.float32)
    weight[0, 0], weight[1, 1], weight[3, 2] = 0.6, 0.6, 0.5  # the target's mark moves it away
    start = Extractor([Layer(weight, np.zeros(DIM, np.float32))], radius=1.0)
    source, target = rows_of(both[:200]), rows_of(both[200:])
    return start, source, start(source), target, classes[200:]


def judges() -> np.ndarray:
    """Users who like one class or the other, and look at the rest of the space each in their own way."""
    users = np.random.default_rng(5).normal(size=(60, DIM)) * 0.3
    users[np.arange(60), np.arange(60) % 2] += 1
    return users.astype(np.float32)


def run(alignment: str, *, seed: int = 0, **changes: float) -> tuple[Extractor, list[dict[str, float]]]:
    start, source, places, target, _ = two_catalogues()
    randomness = torch.Generator().manual_seed(seed)
    made = alignment_of(FeatureConfig(alignment=alignment), DIM, randomness)
    settings = AdaptationSettings(**{"steps": 200, "learning_rate": 0.01, "batch_size": 64} | changes)
    return adapt(start, source, places, target, judges(), made, settings, randomness=randomness)


def test_wdgrl_closes_the_gap_and_classes_can_still_be_told_apart() -> None:
    start, source, _, target, classes = two_catalogues()
    extractor, history = run("wdgrl")
    before, after = ((each(source), each(target)) for each in (start, extractor))
    chance = np.random.default_rng
    assert sliced_distance(*after, chance(0)) < sliced_distance(*before, chance(0)) / 2
    assert ((after[1][:, 0] < after[1][:, 1]) == classes).mean() > 0.95
    assert spread(after[1]) > 0.6 * spread(before[1])  # no collapse
    assert np.abs(after[0] - before[0]).mean() < 0.1  # the source keeps its places
    assert [record["step"] for record in history] == [50, 100, 150, 200]
    assert critic_gap(*map(torch.from_numpy, after), steps=40) < critic_gap(
        *map(torch.from_numpy, before), steps=40
    )


def test_the_same_chance_gives_the_same_extractor_and_other_chance_another() -> None:
    one, same, other = (run("wdgrl", seed=seed, steps=20)[0].layers[0].weight for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_without_an_alignment_the_target_stays_where_it_was() -> None:
    start, _, _, target, _ = two_catalogues()
    extractor, history = run("none", steps=50)
    np.testing.assert_allclose(extractor(target), start(target), atol=0.1)  # the penalty draws at its mark
    assert history[-1]["alignment"] == 0


def test_a_changed_list_costs_what_its_slow_twin_says() -> None:
    rng = np.random.default_rng(0)
    places, before, users = (rng.normal(size=(n, 3)) for n in (7, 7, 5))
    users[3] = 0  # judges everything alike
    got = changed_lists(*map(torch.from_numpy, (places, before, users)))
    np.testing.assert_allclose(got, slow.changed_lists(places, before, users), atol=1e-12)
    assert len(set(got.tolist())) == len(users)
    lifted = before * 3 + rng.normal(size=3)
    assert changed_lists(*map(torch.from_numpy, (lifted, before, users))).max() < 1e-12


class Crumpling:
    """An alignment that would have both classes of the target in one place."""

    def learn(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Nothing to learn."""

    def loss(self, source: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
        return 10 * (target[:, 0] - target[:, 1]).square().mean()


def test_lists_are_kept_against_an_alignment_that_would_crumple_them() -> None:
    start, source, places, target, _ = two_catalogues()
    users, before = torch.from_numpy(judges()), torch.from_numpy(start(target))
    changed = []
    for keep in (0.0, 300.0):
        settings = AdaptationSettings(steps=100, learning_rate=0.02, batch_size=64, keep=keep)
        chance = torch.Generator().manual_seed(0)
        extractor, _ = adapt(
            start, source, places, target, judges(), Crumpling(), settings, randomness=chance
        )
        changed.append(changed_lists(torch.from_numpy(extractor(target)), before, users).mean().item())
    assert changed[1] < changed[0] / 5
    assert changed[0] > 0.05


@pytest.mark.parametrize(("length", "radius"), [(0.7, 1.0), (None, 0.5), (None, None)])
@pytest.mark.parametrize("hidden", [(), (5,)])
def test_torch_and_numpy_place_alike(hidden, length, radius) -> None:
    rng = np.random.default_rng(1)
    sizes = [6, *hidden, DIM]
    layers = [
        Layer(rng.normal(size=pair).astype(np.float32), rng.normal(size=pair[1]).astype(np.float32))
        for pair in pairwise(sizes)
    ]
    start = Extractor(layers, radius=radius, length=length)
    rows = rows_of(rng.normal(size=(9, 6)) * (rng.random((9, 6)) < 0.5))
    which = np.array([4, 0, 8, 4])
    network = TrainedExtractor(start)
    got = network.bounded(network(rows, torch.from_numpy(which))).detach().numpy()
    np.testing.assert_allclose(got, start(rows)[which], atol=1e-5)
    np.testing.assert_array_equal(network.extractor()(rows), start(rows))


def test_profiles_become_places_as_the_slow_twin_says() -> None:
    rng = np.random.default_rng(2)
    users, liked = rng.normal(size=(12, 3)), rng.random((12, 8)) < 0.4
    features = np.abs(rng.normal(size=(8, 5)))
    got = taste_places(users, csr_array(liked.astype(np.float32) * 7), csr_array(features), shrinkage=0.3)
    np.testing.assert_allclose(got, slow.taste_places(users, liked, features, 0.3), atol=1e-9)


def test_leaning_keeps_lengths_and_goes_from_vectors_to_places() -> None:
    vectors, places = np.array([[2.0, 0], [0, 0.5]]), np.array([[0, 9.0], [0, 0]])
    half = np.sqrt(2)
    np.testing.assert_allclose(leaning(vectors, places, 1.0), [[half, half], [0, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(leaning(vectors, places, 0.0), vectors, rtol=1e-6)


def test_too_few_items_and_losses_that_are_no_numbers_are_refused() -> None:
    start, source, places, target, _ = two_catalogues()
    alignment = alignment_of(FeatureConfig(alignment="none"), DIM, torch.Generator())
    one = rows_of(np.ones((1, 4)))
    with pytest.raises(TrainingError, match="the target has 1 items"):
        adapt(
            start,
            source,
            places,
            one,
            judges(),
            alignment,
            AdaptationSettings(),
            randomness=torch.Generator(),
        )
    with pytest.raises(TrainingError, match="200 source items have 3 places"):
        adapt(
            start,
            source,
            places[:3],
            target,
            judges(),
            alignment,
            AdaptationSettings(),
            randomness=torch.Generator(),
        )
    with pytest.raises(TrainingError, match="not finite"):
        run("wdgrl", learning_rate=1e30)

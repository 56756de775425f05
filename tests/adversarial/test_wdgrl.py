"""The estimators: scikit-learn's own checks, sparse as dense, no target labels, saved as data."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from adversarial import saving, toys
from adversarial.errors import ModelError, SettingError, TrainingError
from adversarial.validation import adaptation_bound, held_out_rows, proxy_a_distance
from adversarial.wdgrl import DomainAdaptedClassifier, DomainAdaptedRegressor, load

QUICK = {
    "hidden": (16,),
    "critic_hidden": (16,),
    "learning_rate": 1e-2,
    "critic_learning_rate": 1e-3,
    "l2": 0.0,
}
FLOAT32 = {
    "check_methods_subset_invariance": "float32 products of batches of other sizes differ in the last digit"
}


def _world(count=200, shift=3.0, seed=0):
    return toys.shifted_clusters(count, shift=shift, randomness=torch.Generator().manual_seed(seed))


def _fitted(kind=DomainAdaptedClassifier, **settings):
    world = _world()
    estimator = kind(**(QUICK | {"steps": 40, "random_state": 0} | settings))
    return estimator.fit(world.source.numpy(), world.source_labels.numpy(), world.target.numpy()), world


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DomainAdaptedClassifier, DomainAdaptedRegressor])
def test_scikit_learns_own_checks_pass(kind):
    estimator = kind(**(QUICK | {"steps": 60, "learning_rate": 3e-2}))
    results = check_estimator(estimator, expected_failed_checks=FLOAT32, on_skip=None)
    assert len(results) > 50


@pytest.mark.slow
@pytest.mark.parametrize(("method", "gain"), [("wdgrl", 0.2), ("dann", 0.1), ("mmd", 0.2), ("coral", 0.0)])
def test_features_align_without_losing_what_they_meant(method, gain):
    """The target is moved, not reshaped: CORAL, which compares covariances only, gains least."""
    world = _world(count=500)
    scores, gaps = {}, {}
    for name in ("source-only", method):
        model = DomainAdaptedClassifier(name, **QUICK, steps=700, random_state=0)
        model.fit(world.source.numpy(), world.source_labels.numpy(), world.target.numpy())
        features = [model.transform(rows.numpy()) for rows in (world.source, world.target)]
        scores[name] = model.score(world.target.numpy(), world.target_labels.numpy())
        gaps[name] = proxy_a_distance(*features, np.random.default_rng(0))
        assert features[0].std(axis=0).max() > 0.1  # not collapsed to a point
        assert model.score(world.source.numpy(), world.source_labels.numpy()) > 0.9
    assert scores[method] > scores["source-only"] + gain
    assert gaps[method] < gaps["source-only"] or method == "coral"


def test_sparse_input_learns_what_dense_input_learns():
    world = _world()
    rows = [np.where(np.abs(x) > 0.8, x, 0) for x in (world.source.numpy(), world.target.numpy())]
    models = [
        DomainAdaptedClassifier(**QUICK, steps=30, random_state=0).fit(source, world.source_labels, target)
        for source, target in (
            rows,
            [sparse.csr_matrix(r) for r in rows],
            [rows[0], sparse.csr_array(rows[1])],
        )
    ]
    dense, *others = [model.transform(rows[1]) for model in models]
    for other in others:
        assert np.allclose(dense, other, atol=1e-4)
    assert np.allclose(models[0].transform(sparse.csr_array(rows[1])), dense, atol=1e-5)


def test_a_wide_sparse_table_is_never_made_dense(monkeypatch):
    def refuse(self, *_, **__):
        raise AssertionError(f"{self.shape} was made dense")

    for kind in (sparse.csr_array, sparse.csr_matrix):
        monkeypatch.setattr(kind, "toarray", refuse)
        monkeypatch.setattr(kind, "todense", refuse)
    rows = sparse.random_array((60, 200_000), density=1e-4, rng=np.random.default_rng(0), format="csr")
    model = DomainAdaptedClassifier(hidden=(4,), critic_hidden=(4,), steps=2, random_state=0)
    model.fit(rows[:30], np.arange(30) % 2, rows[30:])
    assert model.transform(rows[:5]).shape == (5, 4)


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    same, again, other = _fitted()[0], _fitted()[0], _fitted(random_state=1)[0]
    rows = _world(seed=5).target.numpy()
    assert np.array_equal(same.predict_proba(rows), again.predict_proba(rows))
    assert not np.array_equal(same.predict_proba(rows), other.predict_proba(rows))


def test_fitting_draws_nothing_from_the_global_generators():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    _fitted(validation_fraction=0.2, steps=5)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_labels_come_back_in_their_own_words_with_probabilities_in_their_order():
    world = _world()
    words = np.array(["no", "yes"])[world.source_labels.numpy()]
    model = DomainAdaptedClassifier(**QUICK, steps=100, random_state=0)
    model.fit(world.source.numpy(), words, world.target.numpy())
    probabilities = model.predict_proba(world.source.numpy())
    assert model.classes_.tolist() == ["no", "yes"]
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(200))
    assert (model.predict(world.source.numpy()) == np.array(["no", "yes"])[probabilities.argmax(1)]).all()
    assert model.score(world.source.numpy(), words) > 0.9


def test_features_are_what_the_head_sees():
    model, world = _fitted()
    features = torch.from_numpy(model.transform(world.target.numpy()))
    logits = model.network_.head(features)
    expected = logits.softmax(1).detach().numpy()
    assert features.shape == (200, 16)
    assert model.predict_proba(world.target.numpy()) == pytest.approx(expected, abs=1e-6)


def test_without_a_target_the_method_does_not_matter():
    world = _world()
    one, other = (
        DomainAdaptedClassifier(m, **QUICK, steps=20, random_state=0).fit(world.source, world.source_labels)
        for m in ("wdgrl", "source-only")
    )
    assert [r["alignment_loss"] for r in one.history_] == [0.0] * len(one.history_)
    assert one.history_[-1]["task_loss"] == pytest.approx(other.history_[-1]["task_loss"])


def test_points_can_be_regressed_with_any_module_as_head_and_the_module_is_left_alone():
    world = _world()
    points = np.stack([world.source_labels, 1 - world.source_labels, 0.5 * world.source_labels], axis=1) + 4.0
    head = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))
    before = [p.clone() for p in head.parameters()]
    model = DomainAdaptedRegressor(**QUICK, steps=300, head=head, random_state=0)
    model.fit(world.source.numpy(), points, world.target.numpy())
    assert model.predict(world.source.numpy()).shape == (200, 3)
    assert model.score(world.source.numpy(), points) > 0.7
    assert all(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))


def test_a_head_that_behaves_otherwise_in_training_answers_the_same_twice(tmp_path):
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 2))
    head[1].bias.requires_grad_(False)
    modes = []
    world = _world()
    model = DomainAdaptedClassifier(**QUICK, steps=20, record_every=10, head=head, random_state=0)
    model.fit(
        world.source,
        world.source_labels,
        world.target,
        observe=lambda _: modes.append(model.network_.training),
    )
    first, second = (model.predict_proba(world.target) for _ in range(2))
    model.save(tmp_path / "m")
    assert np.array_equal(first, second)
    assert np.array_equal(first, load(tmp_path / "m", head=head).predict_proba(world.target))
    assert modes == [False, False]
    assert torch.equal(model.network_.head[1].bias, head[1].bias)  # frozen stays frozen


def test_regression_answers_do_not_depend_on_the_unit_of_the_targets():
    world = _world()
    y = world.source[:, 0].numpy()
    one, other = (
        DomainAdaptedRegressor(**QUICK, steps=50, random_state=0).fit(
            world.source, unit * y + 100, world.target
        )
        for unit in (1.0, 1000.0)
    )
    rows = world.target.numpy()
    assert (other.predict(rows) - 100) / 1000 == pytest.approx(one.predict(rows) - 100, abs=5e-3)


def test_validation_keeps_the_state_with_the_smallest_bound(tmp_path):
    seen = []
    world = _world()
    model = DomainAdaptedClassifier(
        **QUICK, steps=60, record_every=10, validation_fraction=0.25, random_state=0
    )
    model.fit(world.source.numpy(), world.source_labels.numpy(), world.target.numpy(), observe=seen.append)
    bounds = {record["step"]: record["bound"] for record in seen}
    assert len(bounds) == 6
    assert model.best_step_ == min(bounds, key=bounds.get)
    assert seen == model.history_
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").best_step_ == model.best_step_


def test_held_out_rows_are_disjoint_from_the_rest_and_of_the_stated_share():
    kept, held = held_out_rows(100, 0.2, np.random.default_rng(0))
    assert len(held) == 20
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(100))


def test_the_proxy_a_distance_is_two_for_separate_domains_and_near_zero_for_one():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3)).astype(np.float32)
    apart = proxy_a_distance(rows, rows[:100] + 20, rng)
    together = proxy_a_distance(rows[:200], rows[200:], rng)
    assert apart == pytest.approx(2.0)
    assert together < 0.4
    assert adaptation_bound(0.25, 0.5) == 0.5


@pytest.mark.parametrize("kind", [DomainAdaptedClassifier, DomainAdaptedRegressor])
@pytest.mark.parametrize("hidden", [(16,), (16, 8)])
def test_a_saved_model_answers_as_before(kind, hidden, tmp_path):
    model, world = _fitted(kind, hidden=hidden)
    model.save(tmp_path / "model", facts={"index_base": 0})
    again = load(tmp_path / "model")
    rows = world.target.numpy()
    assert np.array_equal(again.predict(rows), model.predict(rows))
    assert np.array_equal(again.transform(rows), model.transform(rows))
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_
    assert saving.facts_of(tmp_path / "model") == {"index_base": 0}
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["manifest.json", "weights.safetensors"]
    assert list(again.get_feature_names_out()) == list(model.get_feature_names_out())


@pytest.mark.parametrize("labels", [np.array(["a", "b"]), np.array([-1.0, 1.0]), np.array([3, 7])])
def test_classes_keep_their_type_on_disk(labels, tmp_path):
    world = _world()
    model = DomainAdaptedClassifier(**QUICK, steps=2, random_state=0)
    model.fit(world.source, labels[world.source_labels.numpy()], world.target).save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.classes_.dtype == labels.dtype
    assert again.classes_.tolist() == labels.tolist()


def test_a_model_with_its_own_head_needs_that_head_to_load(tmp_path):
    head = nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 2))
    model, world = _fitted(head=head)
    model.save(tmp_path / "model")
    with pytest.raises(ModelError, match="head=module"):
        load(tmp_path / "model")
    with pytest.raises(ModelError, match="does not fit"):
        load(tmp_path / "model", head=nn.Linear(16, 2))
    again = load(tmp_path / "model", head=head)
    assert np.array_equal(again.predict_proba(world.target), model.predict_proba(world.target))


def _flip_a_byte(directory):
    path = directory / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 0xFF
    path.write_bytes(content)


def _newer_format(directory):
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_a_byte, "weights.safetensors: missing or damaged"),
        (_newer_format, "format 99, this version reads 1"),
        (lambda d: (d / "manifest.json").write_text("{"), "manifest.json"),
        (lambda d: (d / "weights.safetensors").unlink(), "weights.safetensors: missing"),
    ],
)
def test_a_damaged_model_is_refused_by_name(damage, message, tmp_path):
    _fitted(steps=1)[0].save(tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "model")


def test_saving_never_overwrites(tmp_path):
    model, _ = _fitted(steps=1)
    model.save(tmp_path / "model")
    with pytest.raises(ModelError, match="exists"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "wgdrl"}, "source-only"),
        ({"steps": 0}, "steps is 0"),
        ({"scale": "sqrt"}, "none, log"),
        ({"hidden": ()}, "at least one layer"),
        ({"validation_fraction": 1.5}, "validation_fraction is 1.5"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"critic_steps": 0}, "critic_steps is 0"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"critic_learning_rate": float("nan")}, "critic_learning_rate is nan"),
        ({"weight": float("inf")}, "weight is inf"),
        ({"penalty": -1}, "penalty is -1"),
        ({"l2": -0.1}, "l2 is -0.1"),
        ({"hidden": 16}, "hidden is 16; give whole widths"),
        ({"hidden": (16, 0)}, "hidden is .16, 0"),
        ({"critic_hidden": (0.5,)}, "critic_hidden is"),
        ({"head": nn.Linear(5, 2)}, r"takes no features of shape \(batch, 16\)"),
        ({"head": nn.Linear(16, 1)}, r"gives \(2, 1\) for 2 rows where \(2, 2\)"),
        ({"method": "coral", "batch_size": 1}, "coral compares covariances"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        _fitted(**settings)


def test_a_head_with_more_outputs_than_answers_is_refused_instead_of_broadcast():
    with pytest.raises(SettingError, match=r"gives \(2, 5\) for 2 rows where \(2, 1\)"):
        _fitted(DomainAdaptedRegressor, head=nn.Linear(16, 5))


def test_settings_may_be_numbers_of_numpy_as_searches_hand_them_in(tmp_path):
    settings = {
        "hidden": np.array([8, 4]),
        "batch_size": np.int64(16),
        "steps": np.arange(3)[2],
        "learning_rate": np.float32(0.01),
        "random_state": np.int64(7),
        "device": torch.device("cpu"),
    }
    model, world = _fitted(**settings)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert np.array_equal(again.predict_proba(world.target), model.predict_proba(world.target))
    assert (again.hidden, again.batch_size, again.random_state, again.device) == ((8, 4), 16, 7, "cpu")


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_the_logarithmic_scale_is_applied_alike_in_training_and_use(kind):
    world = _world()
    settings = QUICK | {"steps": 20, "random_state": 0}
    source, target = (rows.numpy() for rows in (world.source, world.target))
    by_hand = [np.sign(rows) * np.log1p(np.abs(rows)) for rows in (source, target)]
    plain = DomainAdaptedClassifier(**settings).fit(by_hand[0], world.source_labels, by_hand[1])
    scaled = DomainAdaptedClassifier(**settings, scale="log").fit(
        kind(source), world.source_labels, kind(target)
    )
    assert np.allclose(scaled.transform(kind(target)), plain.transform(by_hand[1]), atol=1e-3)
    assert not np.allclose(scaled.transform(kind(target)), plain.transform(target), atol=1e-1)


def test_one_class_is_refused():
    world = _world()
    with pytest.raises(SettingError, match="one class"):
        DomainAdaptedClassifier(steps=1).fit(world.source, np.zeros(200), world.target)


def test_training_that_diverges_says_at_which_step():
    world = _world()
    model = DomainAdaptedRegressor(**(QUICK | {"learning_rate": 1e30}), steps=50, record_every=1)
    with pytest.raises(TrainingError, match=r"step \d+: the loss is not finite"):
        model.fit(world.source * 1e15, world.source[:, 0], world.target)


def test_a_clone_is_an_unfitted_twin():
    model, _ = _fitted()
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "network_")


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_torch_cannot_use_is_refused_by_name(device):
    with pytest.raises(SettingError, match=f"device = '{device}'.*choose cpu"):
        _fitted(device=device)

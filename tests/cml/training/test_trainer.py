"""What training learns, when it stops, and that chance, time and kills do not change its result."""

import itertools

import numpy as np
import pytest
import torch

from cml.config import load_config
from cml.errors import ConfigError, TrainingError
from cml.pipeline import validation
from cml.training.checkpoint import Checkpoint
from cml.training.engine import Engine
from cml.training.history import as_csv
from cml.training.space import Space
from cml.training.trainer import fit
from tests.cml.training_worlds import dataset, two_tastes

SMALL = ("dim=4", "epochs=12", "batch_size=64", "pool=20", "train.metric=hit_rate@5", "patience=50")
MODES = [
    "loss=smooth-warp",
    "loss=smooth-warp start=random",
    "loss=smooth-warp batch=pairs start=random",
    "loss=smooth-warp optimizer=adam learning_rate=0.03",
    "loss=smooth-warp popularity_power=0.5 negatives=per-pair draws=10",
    "loss=contrastive negatives=all",
    "loss=triplet",
    "loss=triplet squared=false",
    "loss=improved-triplet",
    "loss=lmnn",
    "loss=warp rank=parallel impostor=hardest negatives=per-pair draws=5",  # of many, the hardest is often a false one
    "loss=warp rank=parallel impostor=first negatives=per-pair",
    "loss=warp rank=parallel impostor=mean negatives=per-pair",
    "loss=warp rank=sequential impostor=first negatives=per-pair",
    "loss=warp rank=exact impostor=mean negatives=all covariance=1",
]


def config_of(*settings):
    return load_config(overrides=(*SMALL, *itertools.chain.from_iterable(text.split() for text in settings)))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_finds_the_item_that_was_held_out(mode):
    """Chance is 5 of the 16 unseen items; four of these are of the user's own taste."""
    train, held_out = two_tastes()
    config = config_of("epochs=20", mode)
    found = fit(train, config)
    assert validation(train, held_out, config)(found.space)["hit_rate@5"] >= 0.9
    assert found.space.items.std(0).sum() > 0.1  # not collapsed to a point


def test_the_same_seed_gives_the_same_space_and_another_seed_another():
    train, _ = two_tastes()
    spaces = [fit(train, load_config(overrides=SMALL, seed=seed)).space for seed in (3, 3, 4)]
    assert torch.equal(spaces[0].items, spaces[1].items)
    assert not torch.equal(spaces[0].items, spaces[2].items)


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best():
    train, _ = two_tastes()
    values = iter([0.1, 0.3, 0.2, 0.3, 0.25, 0.2, 0.9])
    seen = []

    def validate(space):
        seen.append(space.copy())
        return {"hit_rate@5": next(values)}

    found = fit(train, config_of("patience=4 start=random"), validate=validate)
    assert (found.stopped, found.best_epoch, len(found.history)) == ("early", 2, 6)
    assert torch.equal(found.space.items, seen[1].items)


def test_training_ends_when_the_caller_has_enough():
    train, _ = two_tastes()
    asked = []

    def enough(progress):
        asked.append(progress.epoch)
        return progress.epoch == 4

    found = fit(train, config_of(), enough=enough)
    assert (found.stopped, len(found.history), found.best_epoch) == ("early", 4, 4)
    assert asked == [1, 2, 3, 4]


def test_ctrl_c_ends_training_with_the_best_space_so_far():
    train, _ = two_tastes()

    def listen(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    found = fit(train, config_of(), listen=listen)
    assert (found.stopped, found.best_epoch) == ("interrupted", 3)


@pytest.mark.parametrize("optimizer", ["rowwise-adagrad", "adagrad", "adam"])
def test_a_resumed_run_ends_exactly_like_an_uninterrupted_one(tmp_path, optimizer):
    train, held_out = two_tastes()
    config = config_of(f"optimizer={optimizer} schedule=linear")
    whole = fit(train, config, validate=validation(train, held_out, config))
    path = tmp_path / "checkpoint.safetensors"
    first = Checkpoint(path, "run", pause=0)
    fit(train, config, epochs=5, validate=validation(train, held_out, config), save=first.save)
    second = Checkpoint(path, "run", pause=0)
    rest = fit(train, config, validate=validation(train, held_out, config), resume=second.resume)
    assert torch.equal(rest.space.users, whole.space.users)
    assert torch.equal(rest.space.items, whole.space.items)
    assert [epoch.loss for epoch in rest.history] == [epoch.loss for epoch in whole.history]
    assert rest.best_epoch == whole.best_epoch


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    train, _ = two_tastes()
    path = tmp_path / "checkpoint.safetensors"
    fit(train, config_of(), epochs=1, save=Checkpoint(path, "one", pause=0).save)
    with pytest.raises(TrainingError, match="other data or settings"):
        fit(train, config_of(), resume=Checkpoint(path, "another").resume)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match="damaged checkpoint"):
        fit(train, config_of(), resume=Checkpoint(path, "one").resume)


def test_a_loss_that_is_no_number_stops_with_advice():
    train, _ = two_tastes()
    weights = np.full(len(train), np.inf, dtype=np.float32)
    broken = dataset(
        list(zip(train.user_rows, train.item_rows, strict=True)),
        users=train.n_users,
        items=train.n_items,
        weights=weights,
    )
    with pytest.raises(TrainingError, match=r"lower train\.learning_rate"):
        fit(broken, config_of())


def test_vectors_that_are_no_numbers_after_the_last_step_stop_with_advice(monkeypatch):
    train, held_out = two_tastes()
    config = config_of("epochs=1", "batch_size=100000", "visits=1")
    step = Engine.step

    def diverging(engine, *arguments):
        report = step(engine, *arguments)
        engine.space.items[0] = torch.nan
        return report

    monkeypatch.setattr(Engine, "step", diverging)
    for validate in (None, validation(train, held_out, config)):
        with pytest.raises(TrainingError, match=r"lower train\.learning_rate"):
            fit(train, config, validate=validate)


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "improved-triplet"])
def test_coinciding_points_have_no_slope_instead_of_an_infinite_one(loss):
    train, _ = two_tastes()
    start = Space(torch.zeros(train.n_users, 3), torch.zeros(train.n_items, 3))
    found = fit(
        train,
        config_of(f"loss={loss}", "squared=false", "gradient=autograd", "dim=3", "epochs=1"),
        start=start,
    )
    assert torch.isfinite(found.space.items).all()


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_torch_cannot_use_is_refused_by_name(device):
    train, _ = two_tastes()
    with pytest.raises(ConfigError, match=f"device = '{device}'"):
        fit(train, config_of(f"device={device}"))


@pytest.mark.parametrize("metric", ["ndcg", "ndcg@0", "accuracy@10", "loss"])
def test_an_unknown_validation_metric_is_refused_before_training(metric):
    train, held_out = two_tastes()
    with pytest.raises(ConfigError, match=r"for example ndcg@10"):
        validation(train, held_out, config_of(f"train.metric={metric}"))


def test_the_history_is_a_table_with_a_row_an_epoch():
    train, held_out = two_tastes()
    config = config_of("epochs=3")
    found = fit(train, config, validate=validation(train, held_out, config))
    header, *rows = as_csv(found.history).splitlines()
    assert header.startswith(
        "number,loss,impostor_share,learning_rate,user_norm,item_norm,on_surface,covariance"
    )
    assert "validation hit_rate@5" in header
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    last = found.history[-1]
    assert 0 <= last.impostor_share < found.history[0].impostor_share
    assert 0 < last.user_norm <= 1 + 1e-6
    assert 0 <= last.on_surface <= 1

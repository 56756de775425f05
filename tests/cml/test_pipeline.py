"""From data sets to a run directory: what it holds, what a refit repeats, and how an interrupted run goes on."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from cml.artifact import load
from cml.config import load_config
from cml.errors import ConfigError, TrainingError
from cml.pipeline import ARTIFACT, CHECKPOINT, HISTORY, train
from cml.snapshot import Snapshot
from cml.vocabulary import Vocabulary
from tests.cml.training_worlds import dataset, two_tastes

SMALL = ("dim=4", "epochs=6", "batch_size=64", "train.metric=hit_rate@5")
CONFIG = load_config(overrides=SMALL)


@pytest.fixture
def world():
    train_data, valid = two_tastes()
    return train_data, valid.over(train_data.users, train_data.items)  # as files read together have them


def test_a_run_directory_holds_the_model_and_its_history(tmp_path, world):
    data, valid = world
    run = train(tmp_path / "run", data, CONFIG, valid=valid)
    model = load(tmp_path / "run" / ARTIFACT)
    assert list(model.users) == list(data.users)
    assert np.array_equal(model.item_vectors, run.fit.space.items.numpy())
    assert model.metrics == run.fit.metrics
    assert model.data["fingerprint"] == data.fingerprint()
    assert model.config["train"]["temperature"] == pytest.approx(run.config.train.temperature)
    assert model.config["model"]["regularization"] == run.fit.config.model.regularization
    with (tmp_path / "run" / HISTORY).open() as file:
        assert len(list(csv.DictReader(file))) == len(run.fit.history)
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_a_model_without_a_ball_is_written_and_places_strangers(tmp_path, world):
    data, _ = world
    train(tmp_path / "run", data, load_config(overrides=(*SMALL, "epochs=2", "radius=none")))
    model = load(tmp_path / "run" / ARTIFACT)
    assert model.manifest.radius is None
    longest = np.linalg.norm(model.item_vectors, axis=1).max()
    point = Snapshot(model, "free").fold_in.point(np.array([0, 1]))
    assert 0 < np.linalg.norm(point) <= longest * (1 + 1e-6)


def test_without_a_refit_validation_pairs_are_not_learned_from(tmp_path, world):
    data, valid = world
    train(tmp_path / "run", data, CONFIG, valid=valid)
    model = load(tmp_path / "run" / ARTIFACT)
    assert len(model.seen_items) == len(data)


def test_a_refit_learns_from_everything_for_the_chosen_number_of_epochs(tmp_path, world):
    data, valid = world
    epochs = []
    together = data.joined(valid)
    run = train(tmp_path / "run", data, CONFIG, valid=valid, refit_on=together, listen=epochs.append)
    assert [epoch.number for epoch in epochs[len(run.fit.history) :]] == list(
        range(1, run.fit.best_epoch + 1)
    )
    model = load(tmp_path / "run" / ARTIFACT)
    assert len(model.seen_items) == len(data) + len(valid)
    assert model.metrics == run.fit.metrics


def test_a_refit_without_validation_is_refused(tmp_path, world):
    with pytest.raises(ConfigError, match="there is none"):
        train(tmp_path / "run", world[0], CONFIG, refit_on=world[0])


def test_validation_data_of_strangers_are_refused(tmp_path, world):
    strangers = replace(dataset([(0, 0)]), users=Vocabulary(["stranger"]))
    with pytest.raises(TrainingError, match="belong together"):
        train(tmp_path / "run", world[0], CONFIG, valid=strangers)


def test_an_interrupted_run_keeps_a_model_and_goes_on_from_its_checkpoint(tmp_path, world):
    data, valid = world
    whole = train(tmp_path / "whole", data, CONFIG, valid=valid)

    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    stopped = train(tmp_path / "run", data, CONFIG, valid=valid, listen=interrupt)
    assert stopped.fit.stopped == "interrupted"
    assert len(load(tmp_path / "run" / ARTIFACT).users) == data.n_users
    assert (tmp_path / "run" / CHECKPOINT).exists()
    resumed = train(tmp_path / "run", data, CONFIG, valid=valid, resume=True)
    assert torch.equal(resumed.fit.space.users, whole.fit.space.users)
    assert len(resumed.fit.history) == len(whole.fit.history)
    assert not (tmp_path / "run" / CHECKPOINT).exists()

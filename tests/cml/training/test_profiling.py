"""Where the time goes: every second once, and training does not notice that it is watched."""

import itertools

import pytest
import torch

from cml.config import load_config
from cml.pipeline import validation
from cml.training.profiling import FEATURES, OFF, OTHER, STAGES, WRITING, Timer
from cml.training.trainer import fit
from tests.cml.training_worlds import two_tastes

CONFIG = load_config(overrides=("dim=4", "epochs=2", "batch_size=64", "train.metric=hit_rate@5"))


def ticking():
    """A timer whose clock shows one second more whenever it is read."""
    return Timer(itertools.count().__next__)


def test_seconds_add_up_by_stage_and_the_rest_is_told():
    timer = ticking()
    for _ in range(3):
        with timer.stage("start"):
            pass
    with timer.stage("moving rows"):
        timer.clock()
    table = timer.table(10)
    assert (table["start"], table["moving rows"], table[OTHER]) == (3, 2, 5)
    assert list(table) == [*STAGES, OTHER]
    assert "start                       3.00 s   30.0%" in timer.text(10)


def test_a_stage_that_fails_has_taken_its_time():
    timer = ticking()
    with pytest.raises(ValueError, match="no"), timer.stage("start"):
        raise ValueError("no")
    assert timer.seconds == {"start": 1}


@pytest.mark.parametrize("profile", [OFF, ticking()])
def test_things_pass_unchanged(profile):
    assert list(profile.each("drawing", iter([3, None, 5]))) == [3, None, 5]


def test_only_the_making_of_things_belongs_to_their_stage():
    timer = ticking()
    for _ in timer.each("drawing", [1, 2]):
        timer.clock()  # what is done with them takes a second, too
    assert timer.seconds == {"drawing": 3}  # two things, and the end


@pytest.mark.parametrize("gradient", ["analytic", "autograd"])
def test_training_tells_every_stage_and_learns_the_same(gradient):
    train, held_out = two_tastes()
    config = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"gradient": gradient})})
    validate = validation(train, held_out, config)
    timer = Timer()
    watched = fit(train, config, validate=validate, profile=timer)
    assert set(timer.seconds) == set(STAGES) - {FEATURES, WRITING}
    assert all(seconds > 0 for seconds in timer.seconds.values())
    assert torch.equal(watched.space.items, fit(train, config, validate=validate).space.items)

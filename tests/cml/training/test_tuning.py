"""The search for settings: what it may change, when it ends, and that it never loses against no search."""

import csv
import io

import pytest
import torch

from cml.artifact import load
from cml.config import RunConfig, load_config, settings
from cml.errors import NothingLearnedError, TrainingError
from cml.pipeline import ARTIFACT, train, validation
from cml.training import tuning
from cml.training.history import Epoch
from cml.training.rules import resolved
from cml.training.search_space import MOVES, changed, given, value_of
from cml.training.space import Space
from cml.training.trainer import Fit, Progress, fit
from cml.training.tuning import Budget, Tuner, trials_as_csv
from tests.cml.training_worlds import two_tastes

METRIC = "ndcg@10"
CONFIG = load_config(overrides=("temperature=0.2", "visits=2", "regularization=0.02"))
MOVABLE = frozenset(move.setting for move in MOVES)


class Clock:
    """Stands still unless moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Landscape:
    """Stands in for training: `value` of a configuration is reached evenly, in ten epochs of a second each."""

    def __init__(self, clock, value, rise=lambda config, share: share):
        self.clock, self.value, self.rise = clock, value, rise
        self.seen = []

    def __call__(self, _train, config, *, enough, **_):
        self.seen.append(config)
        progress, stopped = Progress(), "done"
        for number in range(1, 11):
            if progress.epoch and enough(progress):
                stopped = "early"
                break
            self.clock.now += 1
            value = self.value(config) * self.rise(config, number / 10)
            progress.history.append(Epoch(number, 1, 0, 0, 0, 0, 0, 0, 0.8, 0.2, {METRIC: value}))
            progress.best_value, progress.best_epoch = value, number
        return Fit(
            Space(torch.zeros(1), torch.zeros(1)), progress.history, progress.best_epoch, stopped, config
        )


def search(monkeypatch, value, *, seconds=1e6, movable=MOVABLE, refit=False, rise=lambda _, share: share):
    """A search over a landscape: (tuner, landscape, best configuration)."""
    clock = Clock()
    landscape = Landscape(clock, value, rise)
    monkeypatch.setattr(tuning, "fit", landscape)
    tuner = Tuner(None, None, Budget(seconds, clock.now, clock), refit)
    best, found = tuner.search(CONFIG, MOVABLE - movable)
    assert found.metrics[METRIC] == value(best)
    return tuner, landscape, best


def peak(config: RunConfig) -> float:
    """Best at a temperature of 0.5, 64 dimensions and equal users; nothing else matters."""
    train, model = config.train, config.model
    return 1 / (1 + abs(train.temperature - 0.5) + abs(model.dim - 64) / 500 + abs(train.user_power - 1) / 5)


def test_every_move_leads_to_a_valid_configuration_and_ends():
    assert MOVES
    for move in MOVES:
        assert move.setting in settings()
        config = CONFIG if move.setting != "train.margin" else changed(CONFIG, "train.loss", "triplet")
        steps = 0
        while (after := move.of(config)) is not None:
            RunConfig.model_validate(after.model_dump())
            assert value_of(after, move.setting) != value_of(config, move.setting)
            assert changed(after, move.setting, value_of(config, move.setting)) == config
            config, steps = after, steps + 1
        assert 1 <= steps < 50


@pytest.mark.parametrize(
    ("settings_text", "without"),
    [
        ("loss=triplet", "train.temperature"),
        ("loss=smooth-warp", "train.margin"),
        ("start=random", "model.regularization"),
        ("radius=none", "model.start"),
        ("batch=pairs", "train.visits"),
    ],
)
def test_a_setting_without_effect_is_not_moved(settings_text, without):
    overrides = ("temperature=0.2", "visits=2", "regularization=0.02", settings_text)
    config = load_config(overrides=overrides)
    moved = {move.setting for move in MOVES if move.of(config) is not None}
    assert without not in moved
    assert "train.learning_rate" in moved


def test_the_search_climbs_to_the_best_settings(monkeypatch):
    tuner, _, best = search(monkeypatch, peak)
    assert best.train.temperature == pytest.approx(0.5, rel=0.13)
    assert (best.model.dim, best.train.user_power) == (64, 1)
    accepted = [trial.value for trial in tuner.trials if trial.accepted]
    assert accepted == sorted(accepted)
    assert accepted[-1] == max(trial.value for trial in tuner.trials)


def test_what_did_help_is_tried_once_more_at_once(monkeypatch):
    tuner, _, _ = search(monkeypatch, peak)
    moves = [trial.move for trial in tuner.trials]
    assert moves[:4] == ["", "train.temperature up", "train.temperature up", "train.temperature up"]


def test_no_configuration_is_tried_twice(monkeypatch):
    _, landscape, _ = search(monkeypatch, peak)
    tried = [tuple(value_of(config, setting) for setting in sorted(MOVABLE)) for config in landscape.seen]
    assert len(tried) == len(set(tried)) > 10


def test_settings_that_are_given_are_not_changed(monkeypatch):
    _, landscape, best = search(monkeypatch, peak, movable=MOVABLE - {"model.dim", "train.temperature"})
    assert {config.model.dim for config in landscape.seen} == {256}
    assert {config.train.temperature for config in landscape.seen} == {0.2}
    assert best.train.user_power == 1


def test_given_settings_are_told_from_defaults_of_the_same_value():
    config = load_config(overrides=("dim=256", "train.patience=6"))
    assert given(config) == {"model.dim", "train.patience"}
    assert given(resolved(config, 10, 10, 20)) > given(config)  # so ask before what is left open is decided


def test_differences_of_chance_change_nothing(monkeypatch):
    _, landscape, best = search(monkeypatch, lambda config: 1.0 if config == CONFIG else 1.001)
    assert len(landscape.seen) > 10
    assert best == CONFIG


@pytest.mark.parametrize("seconds", [0.001, 5, 11])
def test_a_tiny_budget_gives_the_result_without_a_search(monkeypatch, seconds):
    tuner, _, best = search(monkeypatch, peak, seconds=seconds)
    assert [len(trial.history) for trial in tuner.trials] == [10]
    assert best == CONFIG


@pytest.mark.parametrize("seconds", [25, 40, 77, 120])
@pytest.mark.parametrize("refit", [False, True])
def test_the_search_and_a_refit_stay_within_the_time(monkeypatch, seconds, refit):
    tuner, landscape, _ = search(monkeypatch, peak, seconds=seconds, refit=refit)
    spent = landscape.clock.now - 100
    winner = next(trial for trial in reversed(tuner.trials) if trial.accepted)
    assert spent + (winner.seconds if refit else 0) <= seconds
    assert len(tuner.trials) > (1 if not refit or seconds > 31 else 0)


def test_more_time_for_training_comes_from_needing_no_refit(monkeypatch):
    counts = [len(search(monkeypatch, peak, seconds=77, refit=refit)[0].trials) for refit in (True, False)]
    assert counts[0] < counts[1]


def test_a_trial_that_falls_far_behind_is_given_up(monkeypatch):
    tuner, _, _ = search(monkeypatch, lambda config: 1.0 if config == CONFIG else 0.9)
    first, *others = tuner.trials
    assert len(first.history) == 10
    assert {len(trial.history) for trial in others} == {tuning.HOPELESS_AFTER}
    assert {trial.stopped for trial in others} == {"early"}


def test_a_trial_is_compared_with_the_best_one_at_the_same_epoch(monkeypatch):
    """Slow starters that have caught up in time are not given up."""

    def rise(config, share):
        return share if config == CONFIG or share > 0.4 else share / 2

    tuner, _, _ = search(monkeypatch, lambda config: 1.0 if config == CONFIG else 0.95, rise=rise)
    assert {len(trial.history) for trial in tuner.trials} == {10}


def test_a_trial_that_diverges_is_noted_and_the_search_goes_on(monkeypatch):
    def value(config):
        if config.train.learning_rate > 0.05:
            raise TrainingError("the loss is no longer a number")
        return peak(config)

    tuner, _, best = search(monkeypatch, value)
    failed = [trial for trial in tuner.trials if trial.stopped == "failed"]
    assert {trial.move for trial in failed} == {"train.learning_rate up"}  # from each new best once more
    assert not any(trial.accepted for trial in failed)
    assert best.model.dim == 64


def test_a_first_trial_that_fails_ends_the_search(monkeypatch):
    def value(_):
        raise TrainingError("nothing to learn from")

    with pytest.raises(TrainingError, match="nothing to learn"):
        search(monkeypatch, value)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, NothingLearnedError("too early")])
def test_ctrl_c_ends_the_search_with_the_best_so_far(monkeypatch, interruption):
    def value(config):
        if config.train.temperature > 0.3:
            raise interruption
        return peak(config)

    tuner, _, best = search(monkeypatch, value)
    assert len(tuner.trials) == 2
    assert best.train.temperature == 0.25


def test_ctrl_c_in_the_first_trial_is_no_reason_for_a_second():
    tuner, _ = real_tuner(1e6, interrupt_at=3)
    tuner.search(small_config())
    assert [trial.stopped for trial in tuner.trials] == ["interrupted"]


def test_trials_are_a_table_with_a_row_each(monkeypatch):
    tuner, _, best = search(monkeypatch, peak, seconds=60)
    rows = list(csv.DictReader(io.StringIO(trials_as_csv(tuner.trials))))
    assert [row["number"] for row in rows] == [str(n + 1) for n in range(len(tuner.trials))]
    kept = [row for row in rows if row["accepted"] == "True"][-1]
    assert float(kept["train.temperature"]) == best.train.temperature
    assert float(kept[METRIC]) == pytest.approx(peak(best))
    assert set(kept) >= MOVABLE


def small_config():
    overrides = ("dim=4", "epochs=3", "batch_size=64", "pool=20", f"train.metric={METRIC}")
    return resolved(load_config(overrides=overrides), 100, 24, 800)


def real_tuner(seconds, interrupt_at=None):
    """A tuner over real training; a validation takes a second on its clock: (tuner, what validates)."""
    train, held_out = two_tastes()
    clock = Clock()
    judge = validation(train, held_out, small_config())

    def validate(space):
        clock.now += 1
        return judge(space)

    def listen(epoch):
        if epoch.number == interrupt_at:
            raise KeyboardInterrupt

    return Tuner(train, validate, Budget(seconds, clock.now, clock), listen=listen), judge


def test_the_best_trial_is_the_model_and_a_search_repeats_itself():
    results = []
    for _ in range(2):
        tuner, judge = real_tuner(18)
        config, found = tuner.search(small_config(), frozenset({"model.dim"}))
        assert judge(found.space) == found.metrics
        results.append(([trial.row() for trial in tuner.trials], config, found.space.items))
    assert len(results[0][0]) > 2
    assert results[0][0] == results[1][0]
    assert results[0][1] == results[1][1]
    assert torch.equal(results[0][2], results[1][2])


def test_without_time_the_model_is_that_of_a_run_without_a_search():
    tuner, judge = real_tuner(0.01)
    config, found = tuner.search(small_config())
    plain = fit(two_tastes()[0], small_config(), validate=judge)
    assert torch.equal(found.space.users, plain.space.users)
    assert config == plain.config


def test_the_settings_that_won_make_the_model_and_are_stored_with_it(monkeypatch, tmp_path):
    pairs, held_out = two_tastes()
    valid = held_out.over(pairs.users, pairs.items)
    won = changed(small_config(), "train.temperature", 0.123)

    def search(tuner, *_):
        return won, fit(tuner.train, won, validate=tuner.validate)

    monkeypatch.setattr(Tuner, "search", search)
    together = pairs.joined(valid)
    budget = Budget(1.0, 0.0, Clock())
    run = train(tmp_path / "run", pairs, small_config(), valid=valid, refit_on=together, auto=budget)
    model = load(tmp_path / "run" / ARTIFACT)
    assert model.config["train"]["temperature"] == 0.123
    again = fit(together, run.config, epochs=run.fit.best_epoch)
    assert torch.equal(torch.tensor(model.user_vectors), again.space.users)
    assert run.config.train.temperature == 0.123

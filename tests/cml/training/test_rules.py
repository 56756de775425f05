"""What the data decide when the configuration leaves it open."""

import pytest

from cml.config import load_config
from cml.training.rules import LEAST_TEMPERATURE, MOST_TEMPERATURE, resolved, temperature_for, visits_for


def test_sparser_data_get_a_sharper_loss_within_bounds():
    dense, sparse = temperature_for(1000, 1000, 25_600), temperature_for(10_000, 10_000, 160_000)
    assert dense == pytest.approx(0.4)
    assert sparse == pytest.approx(0.2)
    assert temperature_for(10, 10, 100) == MOST_TEMPERATURE
    assert temperature_for(10**6, 10**6, 10) == LEAST_TEMPERATURE


def test_a_given_temperature_stays_and_a_missing_one_scales_with_the_squared_radius():
    given = load_config(overrides=("temperature=0.7", "visits=2"))
    assert resolved(given, 1000, 1000, 25_600) == given
    wide = resolved(load_config(overrides=("radius=2.0",)), 1000, 1000, 25_600)
    assert wide.train.temperature == pytest.approx(1.6)


def test_small_data_are_visited_often_and_large_ones_once():
    assert visits_for(5_000, 20_000, 16_000) == 4
    assert visits_for(10_000, 20_000, 16_000) == 2
    assert visits_for(10_000, 5_000, 16_000) == 4
    assert visits_for(1_000_000, 1_000_000, 16_000) == 1
    assert resolved(load_config(), 10_000, 20_000, 100_000).train.visits == 2

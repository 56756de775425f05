"""Settings: from everywhere, checked once, refused with the place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from cml.errors import ConfigError
from service.settings import PREFIX, Settings, load


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path):
    file = tmp_path / "service.toml"
    file.write_text('models = "m"\nport = 1\nworkers = 2\nmax_k = 7\n')
    environment = {PREFIX + "PORT": "3", PREFIX + "WORKERS": "4", "OTHER": "x"}
    got = load(environment, file, port=5, host=None)
    assert (got.models, got.port, got.workers, got.max_k, got.host) == (Path("m"), 5, 4, 7, "127.0.0.1")


def test_the_environment_may_name_the_file(tmp_path):
    (tmp_path / "s.toml").write_text('models = "m"\n')
    assert load({PREFIX + "CONFIG": str(tmp_path / "s.toml")}).models == Path("m")


def test_lists_and_tables_in_the_environment_are_json():
    environment = {
        PREFIX + "MODELS": "m",
        PREFIX + "CORS_ORIGINS": '["https://a"]',
        PREFIX + "EVENT_WEIGHTS": '{"view": 0.1}',
    }
    got = load(environment)
    assert got.cors_origins == ("https://a",)
    assert got.event_weights == {"like": 1.0, "purchase": 1.0, "view": 0.1, "dislike": 1.0}


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "--models"),
        ({PREFIX + "MODELS": "m", PREFIX + "PORT": "x"}, "port = 'x'"),
        ({PREFIX + "MODELS": "m", PREFIX + "PRT": "1"}, "prt"),
        ({PREFIX + "MODELS": "m", PREFIX + "CORS_ORIGINS": "[x"}, "not valid JSON"),
        ({PREFIX + "MODELS": "m", PREFIX + "EVENT_WEIGHTS": '{"veiw": 0.1}'}, "veiw"),
        ({PREFIX + "MODELS": "m", PREFIX + "EVENT_WEIGHTS": '{"view": -1}'}, "view = -1"),
        ({PREFIX + "MODELS": "m", PREFIX + "CONFIG": "/no/such.toml"}, "cannot be read"),
    ],
)
def test_bad_settings_are_refused_by_name(environment, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load(environment)


def test_events_live_beside_the_models_unless_told_otherwise(tmp_path):
    assert Settings(models=tmp_path).events_url == f"sqlite:///{tmp_path}/events.db"
    assert Settings(models=tmp_path, events="off").events_url is None
    assert Settings(models=tmp_path, events="sqlite:////x/y.db").events_url == "sqlite:////x/y.db"


def test_every_setting_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    assert len(Settings.model_fields) > 20
    missing = [name for name in Settings.model_fields if f"`{name}`" not in page]
    assert not missing

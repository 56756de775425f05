"""Settings are checked when they are read, so that nothing fails on them an hour later."""

import pytest

from cml.config import load_config
from cml.errors import ConfigError
from cml.evaluation.metrics import METRICS, cutoff


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("radius=inf", "model.radius"),
        ("temperature=inf", "train.temperature"),
        ("covariance=nan", "train.covariance"),
        ("data.like_threshold=inf", "data.like_threshold"),
        ("dim=1000000000", "16384"),
        ("popularity_power=500", "train.popularity_power"),
        ("seed=99999999999999999999999", "seed"),
        ("publish.metric=auc@10", "publish.metric.*for example ndcg@10"),
        ("train.metric=ndcg@²", "train.metric.*for example ndcg@10"),
        ("train.metric=ndcg@999999999999", "for example ndcg@10"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(setting, says):
    with pytest.raises(ConfigError, match=says):
        load_config(overrides=(setting,))


def test_every_metric_of_a_single_user_may_choose():
    for name in METRICS:
        config = load_config(overrides=(f"train.metric={name}@7", f"publish.metric={name}@7"))
        assert cutoff(config.train.metric) == cutoff(config.publish.metric) == 7


@pytest.mark.parametrize("override", ["=3", " = 3", "nonsense=1", "train.nonsense=1", "metric=recall@5"])
def test_a_name_that_stands_for_no_setting_or_for_two_is_refused(override):
    with pytest.raises(ConfigError, match=r"is not a setting|stands for train\.metric and publish\.metric"):
        load_config(overrides=(override,))


def test_a_section_of_a_file_must_be_a_table(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("train = 3\n")
    with pytest.raises(ConfigError, match="setting train = 3"):
        load_config(file, ("train.epochs=3",))

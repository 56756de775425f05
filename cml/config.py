"""Configuration: frozen values, checked once, stored whole in every artifact.

A run is described by defaults, then a TOML file, then `--set key=value`; unknown keys are refused.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zlib import crc32

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from cml.errors import ConfigError

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """Base of all sections: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """How an interactions file is read."""

    user_column: str = "user_id"
    item_column: str = "item_id"
    rating_column: str = "rating"
    timestamp_column: str = "timestamp"
    weight_column: str = "weight"
    like_threshold: float | None = None  # rating at or above which a pair is liked; None: every pair is
    dislike_threshold: float | None = None  # rating at or below which a pair is an explicit negative
    min_user_interactions: PositiveInt = 1  # liked pairs; applied with the next one until nothing changes
    min_item_interactions: PositiveInt = 1
    duplicates: Literal["last", "first", "max", "sum"] = "last"  # how rows of the same pair are merged


class SplitConfig(Section):
    """How validation and test pairs are held out when no files are given for them."""

    method: Literal["random", "leave-last", "time"] = "leave-last"
    ratio: Fraction = 0.2  # random: of each user's liked pairs; time: of all pairs, the latest
    n: PositiveInt = 1  # leave-last: liked pairs held out per user


class ModelConfig(Section):
    """The shape of the metric space."""

    dim: PositiveInt = 128
    radius: PositiveFloat = 1.0  # of the ball that holds every vector [CML-5]


class TrainConfig(Section):
    """What is minimised and how. Distances in losses are squared; loss terms are means over positives."""

    loss: Literal["smooth-warp", "warp"] = "smooth-warp"
    temperature: PositiveFloat = 0.3  # of smooth WARP [CML-6], in squared distance
    margin: PositiveFloat = 0.5  # of the hinge losses, in squared distance
    pool: PositiveInt = 4096  # items drawn per batch as shared negatives; at most the catalogue
    covariance: NonNegativeFloat = 0.0  # weight of [CML-4]
    learning_rate: PositiveFloat = 0.1
    batch_size: PositiveInt = 2048
    epochs: PositiveInt = 60
    patience: PositiveInt = 5  # validations without improvement before training stops
    metric: str = "ndcg@10"  # validation metric that chooses the epoch


class PublishConfig(Section):
    """When a freshly trained model may replace the current one."""

    metric: str = "ndcg@10"
    tolerance: NonNegativeFloat = 0.02  # relative loss of the metric that still counts as "not worse"


class RunConfig(Section):
    """Everything that decides a training run's result, besides the data and the thread count."""

    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    publish: PublishConfig = PublishConfig()
    seed: Annotated[int, Field(ge=0)] = 0
    threads: PositiveInt | None = None  # None: all cores
    device: str = "cpu"

    def rng(self, stage: str) -> np.random.Generator:
        """The stage's own generator: stages that draw more or less do not disturb each other."""
        return np.random.default_rng([self.seed, crc32(stage.encode())])


def load_config(path: Path | None = None, overrides: tuple[str, ...] = (), **top_level: Any) -> RunConfig:
    """Defaults, then the TOML file, then `key=value` overrides; `top_level` values that are not None win.

    A key is `section.name`, or the bare name where only one section has it. Raises ConfigError.
    """
    values = _read_toml(path) if path else {}
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override!r}: expected key=value, for example --set train.epochs=20")
        section, name = _resolve(key.strip())
        (values.setdefault(section, {}) if section else values)[name] = _parse(text.strip())
    values |= {name: value for name, value in top_level.items() if value is not None}
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting {where} = {first['input']!r}: {first['msg']}; see docs/configuration.md") from None


def settings() -> dict[str, Any]:
    """Every setting by its full name with its default, in order: what the docs must list."""
    names: dict[str, Any] = {}
    for section, field in RunConfig.model_fields.items():
        if isinstance(field.default, Section):
            names |= {f"{section}.{name}": value for name, value in field.default.model_dump().items()}
        else:
            names[section] = field.default
    return names


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _resolve(key: str) -> tuple[str, str]:
    known = settings()
    matches = [name for name in known if name == key or name.partition(".")[2] == key]
    if len(matches) != 1:
        problem = f"stands for {' and '.join(matches)}; write one of them" if matches else "is not a setting"
        raise ConfigError(f"--set {key}: {key!r} {problem}; docs/configuration.md lists all settings")
    section, _, name = matches[0].rpartition(".")
    return section, name


def _parse(text: str) -> Any:
    """A TOML value where the text is one (`0.5`, `true`, `[1, 2]`), else the text itself."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

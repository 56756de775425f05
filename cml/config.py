"""Configuration: frozen values, checked once, stored whole in every artifact.

A run is described by defaults, then a TOML file, then `--set key=value`; unknown keys are refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from zlib import crc32

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from cml.errors import ConfigError

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]

_METRICS = (
    "recall",
    "precision",
    "hit_rate",
    "ndcg",
    "map",
    "mrr",
)  # of cml.evaluation.metrics, which needs scipy


def _metric_name(name: str) -> str:
    if not re.fullmatch(rf"({'|'.join(_METRICS)})@[1-9][0-9]{{0,5}}", name):
        raise ValueError(f"expected one of {', '.join(_METRICS)} followed by @k, for example ndcg@10")
    return name


MetricName = Annotated[str, AfterValidator(_metric_name)]


def _listed(value: Any) -> Any:
    """`a,b` as a list: what is handy on a command line."""
    return [word for part in value.split(",") if (word := part.strip())] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


def _none_by_name(value: Any) -> Any:
    """`none` of a command line, which is read as None everywhere, as the name that it is here."""
    return "none" if value is None else value


AlignmentName = Annotated[Literal["wdgrl", "coral", "none"], BeforeValidator(_none_by_name)]


class Section(BaseModel):
    """Base of all sections: immutable, strict about unknown keys, and without infinity, which JSON cannot hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    """The shape of the metric space, and where training starts in it."""

    dim: Annotated[int, Field(gt=0, le=16_384)] = 256
    radius: PositiveFloat | None = 1.0  # of the ball that holds every vector [CML-5]; None: unconstrained
    start: Literal["als", "random"] = "als"  # als: a closed-form start, lifted exactly into the ball
    regularization: PositiveFloat | None = (
        None  # of that start; None: chosen on validation data, without any 0.02
    )


class TrainConfig(Section):
    """What is minimised and how.

    A step minimises the sum of its positives' losses, plus `covariance` times their number times [CML-4].
    """

    loss: Literal["smooth-warp", "warp", "contrastive", "triplet", "improved-triplet", "lmnn"] = "smooth-warp"
    temperature: PositiveFloat | None = (
        None  # of smooth WARP [CML-6], in squared distance; None: by what the start says [START-1]
    )
    margin: PositiveFloat = 0.5  # of the other losses; squared distance, plain for contrastive
    rank: Literal["exact", "parallel", "sequential"] = "parallel"  # estimator of the rank weight [CML-2]
    impostor: Literal["hardest", "first", "mean"] = "mean"  # which negatives carry the gradient of "warp"
    squared: bool = True  # triplet losses on squared (default) or plain distances
    push: Fraction = 0.5  # share of the push term in LMNN [ML-4]
    negatives: Literal["shared", "per-pair", "all"] = "shared"  # a pool a step, draws a positive, all items
    pool: PositiveInt = 16_384  # items in a shared pool; at most the catalogue
    draws: PositiveInt = 20  # negatives drawn for each positive with "per-pair"
    popularity_power: Annotated[float, Field(ge=0, le=10)] = (
        0.0  # negatives drawn in proportion to likes to this power
    )
    user_power: Share = 0.25  # a user's pairs weigh likes ** -power; 1: users are equal
    covariance: NonNegativeFloat = 0.0  # weight of [CML-4]
    batch: Literal["users", "pairs"] = "users"  # a step takes whole users, or random pairs
    visits: PositiveInt | None = None  # parts that users' positives are dealt into; None: by the data's size
    batch_size: PositiveInt = 8192  # positives in a step
    optimizer: Literal["rowwise-adagrad", "adagrad", "adam"] = "rowwise-adagrad"
    learning_rate: PositiveFloat = 0.05  # of items
    user_rate: PositiveFloat = 1.0  # times the learning rate for users
    schedule: Literal["constant", "linear", "cosine"] = "linear"  # over the epochs allowed
    epochs: PositiveInt = 12
    patience: PositiveInt = 6  # validations without improvement before training stops
    metric: MetricName = "ndcg@10"  # validation metric that chooses the epoch
    gradient: Literal["analytic", "autograd"] = "analytic"  # autograd: the slow, readable reference


class ExtractorConfig(Section):
    """What places something by its features, and how strongly that draws its vectors [CML-3]."""

    columns: Names = ()  # of its table: `genres`, or with its kind `year:numeric`; (): no features
    matrices: Names = ()  # more features from files: `NAME=FILE.npz`, see `cml.data.matrices`
    weight: NonNegativeFloat = 1.0  # in likes: what has fewer leans on its features
    weight_schedule: Literal["constant", "linear"] = "constant"  # of the weight, over the epochs allowed
    hidden: tuple[PositiveInt, ...] = ()  # widths of the extractor's hidden layers; (): a linear map
    penalty: PositiveFloat = 1.0  # on the extractor's squared weights, in rows
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of hidden units
    passes: PositiveInt = 10  # over the rows whenever hidden layers are fitted
    extractor_rate: PositiveFloat = 0.003  # learning rate of hidden layers
    max_terms: PositiveInt = (
        50_000  # of a column; those in the most rows are kept; of a hashed text, its buckets
    )


class FeatureConfig(ExtractorConfig):
    """Features of items, and how their extractor is adapted to a second catalogue."""

    alignment: AlignmentName = "wdgrl"  # with a target catalogue; none: source only
    alignment_weight: NonNegativeFloat = 1.0
    critic_steps: PositiveInt = 5  # of WDGRL, before each step of the extractor
    adaptation_steps: PositiveInt = 300
    keep: NonNegativeFloat = 300.0  # what it costs to change how users judge the target's items [ADAPT-1]
    taste: NonNegativeFloat = 0.5  # with a target catalogue: share of users' tf-idf profiles in source places


class UserFeatureConfig(ExtractorConfig):
    """Features of users."""


class PublishConfig(Section):
    """When a freshly trained model may replace the current one."""

    metric: MetricName = "ndcg@10"
    tolerance: NonNegativeFloat = 0.02  # relative loss of the metric that still counts as "not worse"
    confidence: Fraction = 0.95  # of the interval below zero that makes a loss a clear one


class RunConfig(Section):
    """Everything that decides a training run's result, besides the data and the thread count."""

    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    features: FeatureConfig = FeatureConfig()
    user_features: UserFeatureConfig = UserFeatureConfig()
    publish: PublishConfig = PublishConfig()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    threads: PositiveInt | None = None  # None: all cores
    device: str = "cpu"

    def rng(self, stage: str) -> np.random.Generator:
        """The stage's own generator: stages that draw more or less do not disturb each other."""
        return np.random.default_rng([self.seed, crc32(stage.encode())])


def load_config(
    path: Path | None = None,
    overrides: tuple[str, ...] = (),
    *,
    base: Mapping[str, Any] = MappingProxyType({}),
    **top_level: Any,
) -> RunConfig:
    """Defaults, then the TOML file, then `key=value` overrides; `top_level` values that are not None win.

    A key is `section.name`, or the bare name where only one section has it. base: settings to begin with where
    there is no file, as an artifact records them. Raises ConfigError.
    """
    values = _read_toml(path) if path else deepcopy(dict(base))
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override!r}: expected key=value, for example --set train.epochs=20")
        section, name = _resolve(key.strip())
        place = values.setdefault(section, {}) if section else values
        if isinstance(place, dict):  # a file may hold something else there, which validation refuses
            place[name] = _parse(text.strip())
    values |= {name: value for name, value in top_level.items() if value is not None}
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"setting {where} = {first['input']!r}: {first['msg']}; see docs/configuration.md"
        ) from None


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
    alone = [
        name for name in known if not name.startswith("user_features.")
    ]  # their bare names are the items'
    matches = [name for name in known if key == name or (name in alone and key == name.rpartition(".")[2])]
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

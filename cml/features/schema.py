"""Which columns of an item table are features, and what kind of value each holds."""

from dataclasses import dataclass
from typing import Literal, get_args

from cml.errors import ConfigError

FeatureKind = Literal["categorical", "multi", "numeric", "text"]
KINDS: tuple[str, ...] = get_args(FeatureKind)


@dataclass(frozen=True)
class Feature:
    """One column and the kind of its values."""

    column: str
    kind: FeatureKind

    def __post_init__(self) -> None:
        if not self.column:
            raise ConfigError("a feature has no column name; write it as column:kind")
        if self.kind not in KINDS:
            raise ConfigError(
                f"feature {self.column!r}: unknown kind {self.kind!r}; use one of {', '.join(KINDS)}"
            )


@dataclass(frozen=True)
class FeatureSchema:
    """The features of an item, in the order in which their columns stand in an encoded row."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        if not self.features:
            raise ConfigError("the feature schema is empty; name at least one column")
        columns = [feature.column for feature in self.features]
        repeated = sorted({column for column in columns if columns.count(column) > 1})
        if repeated:
            raise ConfigError(f"feature {repeated[0]!r} is declared twice; keep one of the two")

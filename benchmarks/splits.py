"""Train, validation and test pairs of a data set's directory, the same ones for every model."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from cml.config import DataConfig, SplitConfig
from cml.data.dataset import Dataset
from cml.data.reading import read_interactions
from cml.data.split import split
from cml.evaluation.held_out import HeldOut

NAMES = ("train", "valid", "test")
LEAST_PAIRS = 5  # of a user, where the benchmark itself splits


@dataclass(frozen=True)
class Parts:
    """Three disjoint parts. Models know the users and items of `train`; the files hold just these pairs."""

    name: str
    train: Dataset
    valid: Dataset
    test: Dataset
    files: dict[str, Path]
    origin: str  # how the parts came about, in words

    @cached_property
    def positives(self) -> csr_array:
        """(n_users, n_items), the pairs to learn from."""
        return self.train.positives()

    @cached_property
    def to_choose(self) -> HeldOut:
        """Validation pairs; seen are those of training."""
        return HeldOut.of(self.valid, self.train.users, self.train.items, self.train.seen())

    @cached_property
    def to_judge(self) -> HeldOut:
        """Test pairs; seen are those of training and validation."""
        known = self.valid.over(self.train.users, self.train.items).seen()
        return HeldOut.of(self.test, self.train.users, self.train.items, csr_array(self.train.seen() + known))

    def counts(self) -> dict[str, int]:
        sizes = {f"{name}_pairs": len(getattr(self, name)) for name in NAMES}
        return {"users": self.train.n_users, "items": self.train.n_items} | sizes


def missing(directory: Path) -> str | None:
    """Why a directory cannot be used; None when it can."""
    if not directory.is_dir():
        return f"{directory.name}: there is no such directory"
    if _file(directory, "interactions") or (_file(directory, "train") and _file(directory, "test")):
        return None
    return f"{directory.name}: neither train.csv.gz and test.csv.gz nor interactions.csv.gz in it"


def usable(directories: Sequence[Path]) -> Iterator[Path]:
    """The directories that hold a data set; for the others, a line that says why not."""
    for directory in directories:
        if why := missing(directory):
            print(f"skipped: {why}", flush=True)
        else:
            yield directory


def read_parts(directory: Path, work: Path, *, seed: int, like_threshold: float | None = None) -> Parts:
    """The parts of a directory, written to `work` as files without ratings.

    train, valid and test files are taken as they are. Where there is no validation file, a fifth of each
    user's training pairs, drawn with `seed`, is held out for it. Where there is only an interactions file, each
    user's liked pairs are split 60/20/20 at random, users with fewer than `LEAST_PAIRS` left out.
    """
    config = DataConfig(like_threshold=like_threshold)
    rng = np.random.default_rng(seed)
    if _file(directory, "train"):
        read = [_read(directory, name, config) for name in NAMES if _file(directory, name)]
        origin = "the set's own parts"
        if len(read) == 2:
            chosen = split(read[0], SplitConfig(method="random", ratio=0.2), rng)
            read = [chosen.train, chosen.held_out, read[1]]
            origin = f"the set's own test part; validation: 20 % of each user's training pairs, seed {seed}"
    else:
        least = DataConfig(like_threshold=like_threshold, min_user_interactions=LEAST_PAIRS)
        everything = _read(directory, "interactions", least)
        outer = split(everything.take(everything.liked), SplitConfig(method="random", ratio=0.2), rng)
        inner = split(outer.train, SplitConfig(method="random", ratio=0.25), rng)
        read = [inner.train, inner.held_out, outer.held_out]
        liked = "" if like_threshold is None else f" of pairs rated {like_threshold:g} or more"
        origin = f"random 60/20/20{liked} per user, users with {LEAST_PAIRS} or more, seed {seed}"
    parts = dict(zip(NAMES, (part.take(part.liked) for part in read), strict=True))
    parts["train"] = parts["train"].compact()
    files = {name: write_part(part, work / f"{name}.csv.gz") for name, part in parts.items()}
    return Parts(directory.name, **parts, files=files, origin=origin)


def _file(directory: Path, name: str) -> Path | None:
    found = (directory / f"{name}{ending}" for ending in (".csv.gz", ".csv"))
    return next((path for path in found if path.is_file()), None)


def _read(directory: Path, name: str, config: DataConfig) -> Dataset:
    path = _file(directory, name)
    assert path is not None  # the caller looked
    return read_interactions(path, config).dataset


def write_part(part: Dataset, path: Path) -> Path:
    """Ids of users and items as a file that `cml train` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user_id", "item_id"])
        for user, item in zip(part.user_rows, part.item_rows, strict=True):
            writer.writerow([part.users[user], part.items[item]])
    return path

"""A second catalogue placed by features alone: aligned with the first, or not, beside tf-idf.

    python -m benchmarks.adaptation --data DIR [--data DIR ...] [--seeds 3] [--set model.dim=64]

The target is a part of the catalogue that differs from the rest: the films of `GENRES` where the item table has genres,
else a community of tags. No interaction of a target item is trained on; its users' likes of it are what is judged. The
share of tf-idf profiles (`features.taste`) is chosen on source items that resemble the target, held out in a training
of their own, and where the choice is 0 there are no rows with profiles; one row takes every setting as it comes.
Results go to benchmarks/results/adaptation-NAME.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.sparse import csr_array, vstack
from scipy.sparse.linalg import svds

from benchmarks.options import parser_of
from benchmarks.records import birthplace, write_record
from benchmarks.splits import LEAST_PAIRS, usable
from cml.adapted import adapted
from cml.catalogue import Catalogue
from cml.config import DataConfig, RunConfig, load_config
from cml.data.cold_split import split_items
from cml.data.dataset import Dataset
from cml.data.items import read_items
from cml.data.reading import read_interactions
from cml.evaluation.bootstrap import mean_intervals
from cml.evaluation.evaluate import score
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen_by
from cml.features.encoding import SparseRows
from cml.training.features import EncodedFeatures, as_matrix, records
from cml.training.rules import resolved
from cml.training.space import Space
from cml.training.trainer import fit
from cml.vocabulary import Vocabulary

GENRES = frozenset({"Crime", "Film-Noir", "Horror", "Mystery", "Thriller"})
COMMUNITIES = 6
METRICS = ("recall@50", "ndcg@10")
TASTES = (0.0, 0.5, 1.0, 3.0)
RESEMBLING = 0.2  # of the source items, to choose the share of profiles on
ROWS: Mapping[str, tuple[str, str]] = {  # alignment, which share of profiles
    "source only": ("none", "no"),
    "CORAL": ("coral", "no"),
    "WDGRL": ("wdgrl", "no"),
    "profiles": ("none", "chosen"),
    "profiles, CORAL": ("coral", "chosen"),
    "profiles, WDGRL": ("wdgrl", "chosen"),
    "as it comes": ("wdgrl", "default"),
}
Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class World:
    """A space trained on the source's interactions, the target's encoded items, and who likes them."""

    space: Space
    liked: csr_array
    features: EncodedFeatures
    target: SparseRows
    held_out: HeldOut  # over the source's items followed by the target's
    config: RunConfig

    @classmethod
    def of(cls, data: Dataset, catalogue: Catalogue, target: NDArray[np.bool_], config: RunConfig) -> World:
        """Train without the target's interactions. target: (n_items,)."""
        parts = split_items(data, target)
        train = parts.train.compact()
        there = some(catalogue, np.flatnonzero(target))
        features = EncodedFeatures.of(
            some(catalogue, data.items.rows(train.items)), config.features, beside=there
        )
        settings = resolved(config, train.n_users, train.n_items, int(train.liked.sum()))
        ids = [*(train.items[row] for row in range(train.n_items))]
        items = Vocabulary([*ids, *(data.items[int(row)] for row in np.flatnonzero(target))])
        seen = train.over(train.users, items).seen()
        return cls(
            space=fit(train, settings, features=features).space,
            liked=train.positives(),
            features=features,
            target=features.encoder.encode(records(there)),
            held_out=HeldOut.of(parts.held_out, train.users, items, seen),
            config=settings,
        )

    def judged(self, name: str, taste: float) -> tuple[Values, dict[str, Any]]:
        """The lists of one row: (values a user among the target alone and among all, diagnostics)."""
        alignment, share = ROWS[name]
        shares = {"no": 0.0, "chosen": taste, "default": self.config.features.taste}
        changes = {"alignment": alignment, "taste": shares[share]}
        features = self.config.features.model_copy(update=changes)
        found = adapted(
            EncodedFeatures(self.features.encoder, self.features.rows, features),
            self.space,
            self.liked,
            self.target,
            self.config.model_copy(update={"features": features}),
        )
        places = np.vstack([self.space.items.numpy(), found.placer.place_rows(self.target).vectors])
        halves, users = (places**2).sum(1) / 2, self.space.users.numpy()[self.held_out.user_rows]
        return self.values(lambda block: users[block] @ places.T - halves), found.as_dict()["after"]

    def random(self, rng: np.random.Generator) -> Values:
        width = self.held_out.targets.shape[1]
        points = rng.random((len(self.held_out), width), dtype=np.float32)
        return self.values(lambda block: points[block])

    def tfidf(self) -> Values:
        """The sum of the cosines to the user's items: rows of features have about one length."""
        own = csr_array(self.liked[self.held_out.user_rows] @ as_matrix(self.features.rows))
        both = csr_array(vstack([as_matrix(self.features.rows), as_matrix(self.target)]))
        lengths = np.sqrt(np.asarray((both * both).sum(axis=1)).ravel())
        return self.values(lambda block: (own[block] @ both.T).toarray() / np.maximum(lengths, 1e-12))

    def values(self, scores: Callable[[slice], NDArray]) -> Values:
        found: Values = {}
        first = self.held_out.targets.shape[1] - len(self.target)
        for among in ("target", "all"):
            barred = np.zeros(self.held_out.targets.shape[1], np.float32)
            if among == "target":
                barred[:first] = -np.inf
            lists = top_unseen_by(
                lambda block, barred=barred: (scores(block) + barred).astype(np.float32),
                self.held_out.seen,
                50,
            )
            per_user = score(lists, self.held_out, (10, 50)).per_user
            found |= {f"{among} {metric}": per_user[metric] for metric in METRICS}
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    torch.set_num_threads(given.threads)
    for directory in usable(given.data):
        origin = birthplace("benchmarks.adaptation", words, given.data)
        for record in measured(directory, given):  # what is done stays, whatever comes
            path = write_record("adaptation", directory.name, origin | record, given.results)
        print(path, flush=True)


def measured(directory: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is known about one data set, ready for its file: again after each seed."""
    reading = DataConfig(min_user_interactions=LEAST_PAIRS, like_threshold=given.like_threshold)
    data = read_interactions(directory / "interactions.csv.gz", reading).dataset
    catalogue = read_items(directory / "items.csv.gz", data.items)
    named = ("genres", "year", "title") if "genres" in catalogue.columns else ("tags",)
    config = load_config(overrides=(*given.set, f"features.columns={','.join(named)}"), threads=given.threads)
    target, story = shifted(catalogue)
    print(f"{directory.name}: {story}: {target.sum():,} of {len(target):,} items", flush=True)
    taste, tried = chosen_taste(data, catalogue, target, config)
    print(f"profiles {taste:g}: {tried}", flush=True)
    seeds: list[dict[str, tuple[Values, dict[str, Any]]]] = []
    for seed in range(given.seeds):
        world = World.of(data, catalogue, target, config.model_copy(update={"seed": seed}))
        rows = {"random": (world.random(np.random.default_rng(seed)), {}), "tf-idf": (world.tfidf(), {})}
        for name in (name for name, (_, share) in ROWS.items() if taste or share != "chosen"):
            rows[name] = world.judged(name, taste)
            print(f"seed {seed}: {name}: {_means(rows[name][0])} {rows[name][1]}", flush=True)
        seeds.append(rows)
        yield {
            "data": directory.name,
            "target": story,
            "counts": {
                "users": data.n_users,
                "items": len(target),
                "target_items": int(target.sum()),
                "target_judged_users": len(world.held_out),
                "training_pairs": int(world.liked.nnz),
            },
            "features": list(named),
            "settings": given.set,
            "taste": taste,
            "taste_tried": tried,
            "seeds": len(seeds),
            "rows": told(seeds),
        }


def shifted(catalogue: Catalogue) -> tuple[NDArray[np.bool_], str]:
    """The target's items (n_items,), and in words what they are."""
    if "genres" in catalogue.columns:
        column = catalogue.columns["genres"]
        own = [GENRES & set(column.value(row) or ()) for row in range(catalogue.n_items)]
        return np.array([bool(genres) for genres in own]), f"films of {', '.join(sorted(GENRES))}"
    features = EncodedFeatures.of(catalogue, load_config(overrides=("features.columns=tags",)).features)
    rows, tagged = as_matrix(features.rows), np.flatnonzero(~features.rows.empty)
    left, sizes, _ = svds(rows[tagged].astype(np.float64), k=50, rng=np.random.default_rng(0))
    points = left * sizes
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    _, groups = kmeans2(points, COMMUNITIES, minit="++", rng=np.random.default_rng(0), iter=50)
    counts = np.bincount(groups, minlength=COMMUNITIES)
    group = int(np.abs(counts - 0.2 * len(tagged)).argmin())
    means = np.asarray(rows[tagged[groups == group]].mean(axis=0)).ravel()
    terms = features.encoder.fitted[0].terms
    story = ", ".join(terms[int(term)] for term in np.argsort(-means)[:6])
    return np.isin(np.arange(catalogue.n_items), tagged[groups == group]), f"a community of tags: {story}"


def chosen_taste(
    data: Dataset, catalogue: Catalogue, target: NDArray[np.bool_], config: RunConfig
) -> tuple[float, dict[str, float]]:
    """(the best share of profiles, Recall@50 of each) for source items that resemble the target most.

    The target lends its features for the resemblance; none of its interactions is looked at.
    """
    source = split_items(data, target).train.compact()
    rows = data.items.rows(source.items)
    features = EncodedFeatures.of(catalogue, config.features)
    matrix = as_matrix(features.rows)
    likeness = np.asarray(matrix[rows] @ np.asarray(matrix[target].mean(axis=0)).ravel()).ravel()
    pretended = np.zeros(len(rows), bool)
    pretended[np.argsort(-likeness, kind="stable")[: round(RESEMBLING * len(rows))]] = True
    world = World.of(source, some(catalogue, rows), pretended, config)
    tried = {taste: float(world.judged("profiles", taste)[0]["target recall@50"].mean()) for taste in TASTES}
    best = max(tried, key=lambda taste: tried[taste])
    return best, {f"{taste:g}": round(value, 4) for taste, value in tried.items()}


def some(catalogue: Catalogue, rows: NDArray[np.integer]) -> Catalogue:
    """A catalogue of some of the items, in that order."""
    columns = catalogue.columns
    values = {name: [column.value(int(row)) for row in rows] for name, column in columns.items()}
    return Catalogue.from_columns(len(rows), values, {name: column.kind for name, column in columns.items()})


def told(seeds: Sequence[Mapping[str, tuple[Values, dict[str, Any]]]]) -> dict[str, Any]:
    """Each row: means over seeds, intervals over users, differences to two rows, diagnostics a seed."""
    rng = np.random.default_rng(0)
    means = {
        name: {key: np.mean([rows[name][0][key] for rows in seeds], axis=0) for key in seeds[0][name][0]}
        for name in seeds[0]
    }
    return {
        name: {
            key: {
                "mean": round(float(found.mean()), 5),
                "interval": _ends(found, rng),
                **{
                    f"above {other}": _difference(found - means[other][key], rng)
                    for other in ("source only", "tf-idf")
                    if other != name
                },
            }
            for key, found in values.items()
        }
        | {
            "seeds": [
                _means(rows[name][0]) | {k: v for k, v in rows[name][1].items() if k != "history"}
                for rows in seeds
            ]
        }
        for name, values in means.items()
    }


def _difference(values: NDArray[np.float64], rng: np.random.Generator) -> list[float]:
    """Mean, lower and upper end."""
    return [round(float(values.mean()), 5), *_ends(values, rng)]


def _ends(values: NDArray[np.float64], rng: np.random.Generator) -> list[float]:
    return [round(float(end), 5) for end in mean_intervals(values[:, None], rng)[0]]


def _means(values: Values) -> dict[str, float]:
    return {name: round(float(found.mean()), 4) for name, found in values.items()}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--seeds", type=int, default=3, help="of training and adaptation")
    parser.add_argument("--set", action="append", default=[], help="a setting; repeatable")
    return parser


if __name__ == "__main__":
    main()

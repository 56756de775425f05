"""What one more item costs a worker that has many added ones already: `PUT /v1/items/{id}`, as each takes it over.

    python -m benchmarks.added_items [--items 26000] [--added 1000 10000] [--puts 50]

CPU time from the committed item to the next answer: the store read, the item placed, and one list of each kind made.
`again` changes an item that had come long before. `version` is how long all of them take to be placed in a version that
is new to the worker, which happens in a thread before the swap.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # as the service sets it, before a library starts its threads

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.serving.world import DIM, content
from cml import artifact
from cml.events.store import EventStore
from cml.events.values import ItemState
from cml.features.encoding import FeatureEncoder
from cml.features.extractor import Extractor, Layer
from cml.features.placing import Placer
from cml.features.schema import Feature, FeatureSchema
from cml.recommend import popular, recommend
from cml.snapshot import Snapshot
from service.edits import Masks
from service.live import Live

_GENRES = ("Drama", "Comedy", "Crime", "Horror", "Romance", "Fantasy", "Western", "Documentary")


def main() -> None:
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        world = content(given.items, 1000, np.random.default_rng(given.seed))
        artifact.write(replace(world, placer=_placer(given.seed)), root / "version")
        snapshot = Snapshot(artifact.load(root / "version"), "000001-000000000000")
        print("added | list ms | filtered list ms | popular ms | again: list ms | version s")
        for n_added in given.added:
            print(_row(snapshot, f"sqlite:///{root / f'events-{n_added}.db'}", n_added, given.puts))


def _row(snapshot: Snapshot, url: str, n_added: int, puts: int) -> str:
    store = EventStore(url)
    for number in range(n_added):
        store.put_item(_state(number))
    live = Live(store)
    live.refresh()
    masks = Masks(live)
    before = time.process_time()
    masks.apply(snapshot)
    version = time.process_time() - before
    kinds: list[Callable[[Snapshot], object]] = [
        lambda shown: recommend(shown, "user-7", k=20).items,
        lambda shown: recommend(shown, "user-7", k=20, where={"genres": ["Crime"]}).items,
        lambda shown: popular(shown, k=20).items,
    ]
    numbers = iter(range(n_added, n_added + puts * len(kinds)))
    costs = [
        median(_cost(store, live, masks, snapshot, next(numbers), ask) for _ in range(puts)) for ask in kinds
    ]
    old = np.random.default_rng(0).integers(0, n_added, puts)
    again = median(_cost(store, live, masks, snapshot, int(number), kinds[0]) for number in old)
    store.close()
    figures = " | ".join(f"{cost * 1e3:.2f}" for cost in (*costs, again))
    return f"{n_added:,} | {figures} | {version:.2f}"


def _cost(
    store: EventStore,
    live: Live,
    masks: Masks,
    snapshot: Snapshot,
    number: int,
    ask: Callable[[Snapshot], object],
) -> float:
    store.put_item(_state(number))
    before = time.process_time()
    live.refresh()
    ask(masks.apply(snapshot))
    return time.process_time() - before


def _state(number: int) -> ItemState:
    said = {"title": f"New title {number}", "genres": [_GENRES[number % 8]], "year": 1990 + number % 30}
    return ItemState(f"new-{number}", metadata=said)


def _placer(seed: int) -> Placer:
    """An extractor with weights of chance: what a place is worth does not matter here."""
    schema = FeatureSchema((Feature("genres", "multi"), Feature("year", "numeric")))
    encoder = FeatureEncoder.fit(schema, [{"genres": [genre], "year": 2000} for genre in _GENRES])
    weight = np.random.default_rng(seed).standard_normal((encoder.n_columns, DIM)).astype(np.float32) / 8
    return Placer(encoder, Extractor([Layer(weight, np.zeros(DIM, dtype=np.float32))]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--added", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--puts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()

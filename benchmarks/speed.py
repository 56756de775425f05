"""How fast models learn, one after the other on the same data and threads, and how fast they get good.

    python -m benchmarks.speed --data DIR [--data DIR ...] [--repeats 2]

All at one dimension: `cml` with a pool of shared negatives, LightFM WARP with 100 samples at most, PyTorchCML; and
at a second dimension the closed-form challenge, `cml` against implicit ALS, whose settings are the best of six on
citeulike-a's validation pairs. Our closed-form start counts as our time, and a model of ours counts once it has been
through an epoch of the CML objective. Interactions a second are liked pairs times epochs over the seconds of fitting,
from the end of the first epoch on. The time to a quality ends with the first epoch whose validation Recall@50 reaches
it. Saving and judging are left out for everyone. Repeats alternate, so that whatever else the machine does meets all;
the fastest counts. Results go to benchmarks/results/speed-NAME.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.fitted import CHOOSES, Fitted, judged
from benchmarks.options import parser_of
from benchmarks.ours_timed import timed
from benchmarks.peer_fits import peer
from benchmarks.records import birthplace, write_record
from benchmarks.splits import Parts, read_parts, usable

DIM, CHALLENGE_DIM = 64, 128
OURS = (f"dim={DIM}", "pool=1024", "visits=1", "regularization=0.02")
CHALLENGE = (f"dim={CHALLENGE_DIM}", "pool=4096", "batch_size=4096", "visits=1", "regularization=0.02")


@dataclass(frozen=True)
class Curve:
    """Validation Recall@50 over the seconds of fitting, both ascending in time."""

    epochs: Sequence[int]
    seconds: Sequence[float]
    cpu_seconds: Sequence[float]
    values: Sequence[float]

    @classmethod
    def of(cls, models: Iterator[Fitted], parts: Parts) -> Curve:
        points = [
            (model.epoch, model.seconds, model.cpu_seconds, judged(model, parts.to_choose).metrics()[CHOOSES])
            for model in models
        ]
        return cls(*(list(column) for column in zip(*points, strict=True)))

    @property
    def best(self) -> float:
        return max(self.values)

    def time_to(self, quality: float, *, cpu: bool = False) -> float | None:
        """Seconds until `quality` is first reached; None if it never is."""
        clock = self.cpu_seconds if cpu else self.seconds
        return next((at for at, value in zip(clock, self.values, strict=True) if value >= quality), None)

    def rate(self, pairs: int, *, cpu: bool = False) -> float:
        """Interactions a second, from the end of the first epoch on."""
        clock = self.cpu_seconds if cpu else self.seconds
        return pairs * (self.epochs[-1] - self.epochs[0]) / (clock[-1] - clock[0])


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(words)
    torch.set_num_threads(given.threads)
    for directory in usable(given.data):
        with tempfile.TemporaryDirectory() as work:
            parts = read_parts(directory, Path(work), seed=0, like_threshold=given.like_threshold)
            origin = birthplace("benchmarks.speed", words, given.data)
            for told in measured(parts, Path(work), given):  # what is done stays, whatever comes
                path = write_record("speed", parts.name, origin | told, given.results)
        print(path, flush=True)


def measured(parts: Parts, work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is known about one data set, ready for its file: again after each run."""
    curves: dict[str, list[Curve]] = {}
    for repeat in range(given.repeats):
        for name, run in contenders(parts, work, given).items():
            if name in given.contenders:
                curve = Curve.of(run(), parts)
                curves.setdefault(name, []).append(curve)
                print(
                    f"{parts.name}, {repeat}: {name}: {curve.seconds[-1]:.1f} s, best {curve.best:.4f}",
                    flush=True,
                )
                yield _told(parts, curves, given)


def _told(parts: Parts, curves: Mapping[str, Sequence[Curve]], given: argparse.Namespace) -> dict[str, Any]:
    return {
        "data": parts.name,
        "split": parts.origin,
        "counts": parts.counts(),
        "threads": given.threads,
        "repeats": given.repeats,
        "settings": {"cml": OURS, f"cml, {CHALLENGE_DIM} dimensions": CHALLENGE, **PEERS},
        "speed": [speed_of(name, repeats, int(parts.train.liked.sum())) for name, repeats in curves.items()],
        "races": races(curves),
        "curves": {name: [vars(curve) for curve in repeats] for name, repeats in curves.items()},
    }


PEERS: Mapping[str, Mapping[str, Any]] = {
    "lightfm-warp": {
        "no_components": DIM,
        "learning_rate": 0.05,
        "max_sampled": 100,
        "learning_schedule": "adagrad",
    },
    "pytorchcml": {
        "n_dim": DIM,
        "learning_rate": 3e-3,
        "loss": "min",
        "margin": 0.5,
        "n_neg_samples": 20,
        "batch_size": 256,
    },
    f"implicit-als, {CHALLENGE_DIM} factors": {
        "factors": CHALLENGE_DIM,
        "regularization": 10,
        "alpha": 40,
    },
}
EPOCHS = {
    "lightfm-warp": 40,
    "pytorchcml": 4,
    f"implicit-als, {CHALLENGE_DIM} factors": 15,
}
NAMES = ("cml", *EPOCHS, f"cml, {CHALLENGE_DIM} dimensions")


def contenders(
    parts: Parts, work: Path, given: argparse.Namespace
) -> dict[str, Callable[[], Iterator[Fitted]]]:
    """How to run each, in the order of a repeat; the ones to be compared stand next to each other."""

    def of_peer(name: str) -> Callable[[], Iterator[Fitted]]:
        model, epochs = name.partition(",")[0], range(1, EPOCHS[name] + 1)
        return lambda: peer(
            model, parts, PEERS[name], work / name.replace(" ", "_"), epochs=epochs, threads=given.threads
        )

    return {
        "cml": lambda: timed(parts, OURS, threads=given.threads),
        **{name: of_peer(name) for name in EPOCHS},
        f"cml, {CHALLENGE_DIM} dimensions": lambda: timed(parts, CHALLENGE, threads=given.threads),
    }


def speed_of(name: str, repeats: Sequence[Curve], pairs: int) -> dict[str, Any]:
    """Interactions a second of the fastest repeat, by the wall and by the processors' time, and the best quality."""
    return {
        "model": name,
        "interactions_per_second": round(max(curve.rate(pairs) for curve in repeats)),
        "interactions_per_cpu_second": round(max(curve.rate(pairs, cpu=True) for curve in repeats)),
        "best_valid": round(max(curve.best for curve in repeats), 5),
        "seconds": round(min(curve.seconds[-1] for curve in repeats), 3),
        "epochs": repeats[0].epochs[-1],
    }


def races(curves: Mapping[str, Sequence[Curve]]) -> list[dict[str, Any]]:
    """Who reaches a peer's best validation Recall@50 when: the peer itself, and ours."""
    pairs = (
        ("lightfm-warp", "cml"),
        (f"implicit-als, {CHALLENGE_DIM} factors", f"cml, {CHALLENGE_DIM} dimensions"),
    )
    return [
        race(peer, curves[peer], ours, curves[ours]) for peer, ours in pairs if {peer, ours} <= set(curves)
    ]


def race(peer: str, theirs: Sequence[Curve], name: str, ours: Sequence[Curve]) -> dict[str, Any]:
    """Fastest times to the peer's best validation quality, by the wall and in CPU seconds; None: never reached."""
    target = max(curve.best for curve in theirs)
    told: dict[str, Any] = {"peer": peer, "ours": name, "target": round(target, 5)}
    for clock, cpu in (("seconds", False), ("cpu_seconds", True)):
        their_time, our_time = (_fastest(side, target, cpu) for side in (theirs, ours))
        ratio = our_time / their_time if our_time is not None and their_time else None
        told[clock] = {
            "peer": their_time and round(their_time, 3),
            "ours": our_time and round(our_time, 3),
            "ratio": ratio and round(ratio, 3),
        }
    return told


def _fastest(repeats: Sequence[Curve], target: float, cpu: bool) -> float | None:
    times = [at for curve in repeats if (at := curve.time_to(target, cpu=cpu)) is not None]
    return min(times, default=None)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, threads=2)
    parser.add_argument("--contenders", nargs="*", default=NAMES, help="who runs")
    parser.add_argument("--repeats", type=int, default=2)
    return parser


if __name__ == "__main__":
    main()

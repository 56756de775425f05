"""CPU seconds per 1,000 WDGRL steps: this package against a plain dense implementation of the same steps.

    python benchmarks/adversarial_speed.py SOURCE.svmlight TARGET.svmlight [--steps 200] [--adapt-python PYTHON]

The plain one is what the paper's description gives in PyTorch: dense rows, double backward for the penalty,
torch.optim.Adam as it comes. Both run the same sizes and numbers of steps on one thread, alternating, and
the best of the repeats counts. `adapt`, where an environment has it, is timed on the same rows.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from adversarial import objectives, tables
from adversarial.wdgrl import DomainAdaptedClassifier

HIDDEN, CRITIC, BATCH, CRITIC_STEPS, PENALTY, RATE, L2 = 500, 100, 32, 5, 10.0, 1e-4, 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--adapt-python", type=Path, help="of an environment with `adapt` and TensorFlow")
    arguments = parser.parse_args()
    if not (arguments.source.is_file() and arguments.target.is_file()):
        print(f"skipped: {arguments.source} or {arguments.target} is not there")
        return
    torch.set_num_threads(1)
    source, target = tables.read_together([arguments.source, arguments.target], width=5000)
    labels = (source.labels > 0).astype(np.int64)
    ways: dict[str, Callable[[], Any]] = {
        "plain dense": lambda: plain(source.features, labels, target.features, arguments.steps),
        "this package": lambda: ours(source.features, labels, target.features, arguments.steps),
        "this package, one critic step": lambda: ours(
            source.features, labels, target.features, arguments.steps, critic_steps=1
        ),
    }
    best = {name: float("inf") for name in ways}
    for _ in range(arguments.repeats):
        for name, way in ways.items():
            started = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - started)
    for name, seconds in best.items():
        print(f"{name}: {1000 * seconds / arguments.steps:.2f} CPU s per 1,000 steps")
    print(f"ratio {best['plain dense'] / best['this package']:.2f}")
    if arguments.adapt_python is None:
        print("adapt: skipped, --adapt-python names no environment that has it")
        return
    theirs = min(adapt(arguments.adapt_python, arguments) for _ in range(arguments.repeats))
    alike = 1000 * best["this package, one critic step"] / arguments.steps
    print(f"adapt: {theirs:.2f} CPU s per 1,000 steps, of one critic step each; ratio {theirs / alike:.2f}")


def ours(source: Any, labels: np.ndarray, target: Any, steps: int, critic_steps: int = CRITIC_STEPS) -> None:
    model = DomainAdaptedClassifier("wdgrl", steps=steps, critic_steps=critic_steps, random_state=0)
    model.fit(source, labels, target)


def plain(source: Any, labels: np.ndarray, target: Any, steps: int) -> None:
    """The same steps, written down the obvious way."""
    torch.manual_seed(0)
    x_source, x_target = (torch.from_numpy(rows.toarray()) for rows in (source, target))
    y = torch.from_numpy(labels)
    extractor = nn.Sequential(nn.Linear(x_source.shape[1], HIDDEN), nn.ReLU())
    head = nn.Linear(HIDDEN, 2)
    critic = nn.Sequential(nn.Linear(HIDDEN, CRITIC), nn.ReLU(), nn.Linear(CRITIC, 1))
    optimiser = torch.optim.Adam([*extractor.parameters(), *head.parameters()], lr=RATE, weight_decay=L2)
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=RATE)
    for _ in range(steps):
        chosen, other = torch.randint(len(y), (BATCH,)), torch.randint(len(x_target), (BATCH,))
        for _ in range(CRITIC_STEPS):
            with torch.no_grad():
                h_s, h_t = extractor(x_source[chosen]), extractor(x_target[other])
            points = objectives.wdgrl_points(h_s, h_t, torch.rand(BATCH))
            penalty = objectives.gradient_penalty(critic, points).mean()
            loss = PENALTY * penalty - objectives.domain_gap(critic(h_s), critic(h_t))
            critic_optimiser.zero_grad()
            loss.backward()
            critic_optimiser.step()
        h_s, h_t = extractor(x_source[chosen]), extractor(x_target[other])
        task = objectives.classification_loss(head(h_s), y[chosen]).mean()
        loss = task + objectives.domain_gap(critic(h_s), critic(h_t))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def adapt(python: Path, arguments: argparse.Namespace) -> float:
    """CPU seconds per 1,000 steps of adapt's WDGRL, in an environment of its own."""
    child = Path(__file__).with_name("adversarial_adapt.py")
    command = [python, child, arguments.source, arguments.target, "--steps", str(arguments.steps)]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=child.parents[1],
    )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()

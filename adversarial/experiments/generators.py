"""The four methods on the same worlds: samples, modes, and the exact distance to real data over training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from adversarial import methods, toys, wasserstein
from adversarial.experiments.style import CYCLE, GREY, new_figure, scatter, square
from adversarial.networks import critic_network, generator_network
from adversarial.trainer import Trainer

WORLD_NAMES = ("8gaussians", "25gaussians")
NOISE_DIM, BATCH, SAMPLE = 2, 256, 1000


@dataclass(frozen=True)
class Course:
    """One method on one world."""

    steps: np.ndarray
    distances: np.ndarray
    """Exact W_1 between equally many generated and real points, after each of `steps` generator steps."""
    sample: np.ndarray
    modes: int


@dataclass(frozen=True)
class Result:
    """courses[world][method]; floors[world] is W_1 between two sets of real data of the same size."""

    courses: dict[str, dict[str, Course]]
    floors: dict[str, float]


def run(
    *,
    seed: int = 0,
    effort: float = 1.0,
    full_steps: int = 3000,
    width: int = 128,
    sample: int = SAMPLE,
    observe: Callable[[str, str, Course], None] | None = None,
) -> Result:
    """Train every method on every world for full_steps * effort generator steps, three layers of `width`;
    distances are taken on `sample` points."""
    steps = max(2, round(full_steps * effort))
    courses: dict[str, dict[str, Course]] = {}
    for world in WORLD_NAMES:
        courses[world] = {}
        for name, method in methods.PLANAR_METHODS.items():
            courses[world][name] = _course(method, world, steps, width, seed, sample)
            if observe is not None:
                observe(world, name, courses[world][name])
    return Result(courses, {world: sampling_floor(world, seed, sample) for world in WORLD_NAMES})


def sampling_floor(world: str, seed: int, sample: int = SAMPLE, repeats: int = 5) -> float:
    """Mean exact W_1 between two independent sets of `sample` real points: nobody can be judged below it."""
    mixture, randomness = toys.world(world), torch.Generator().manual_seed(seed)
    pairs = [(mixture.draw(sample, randomness), mixture.draw(sample, randomness)) for _ in range(repeats)]
    return float(np.mean([wasserstein.exact(a, b).value for a, b in pairs]))


def draw(result: Result) -> Figure:
    """For each world its samples by method, and the distances over training."""
    names = list(methods.PLANAR_METHODS)
    figure, panels = new_figure(len(result.courses), len(names) + 1, width=13.5, height=2.9)
    for row, (world, courses) in zip(panels, result.courses.items(), strict=True):
        mixture = toys.world(world)
        assert isinstance(mixture, toys.Mixture)
        for axes, name, colour in zip(row, names, CYCLE, strict=False):
            axes.plot(*mixture.centres.numpy().T, "+", color="black", ms=6, mew=0.8, zorder=3)
            scatter(axes, courses[name].sample, colour)
            square(axes, 2.1)
            axes.set_title(f"{name}: {courses[name].modes} of {len(mixture.centres)} modes", fontsize=9)
        row[0].set_ylabel(mixture.name)
        for name, colour in zip(names, CYCLE, strict=False):
            row[-1].plot(courses[name].steps, courses[name].distances, color=colour, label=name)
        row[-1].axhline(result.floors[world], color=GREY, linestyle=":", label="sampling floor")
        row[-1].set_ylim(0, 1.4 * max(course.distances.max() for course in courses.values()))
        row[-1].set_title("Exact W1 to real data", fontsize=9)
        row[-1].set_xlabel("generator steps", fontsize=8)
    panels[0][-1].legend(fontsize=7, ncol=2, loc="upper right")
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    sentences = []
    for world, courses in result.courses.items():
        last = ", ".join(
            f"{name} {course.distances[-1]:.3f} with {course.modes} modes" for name, course in courses.items()
        )
        sentences.append(f"{toys.world(world).name}: {last}; floor {result.floors[world]:.3f}.")
    some = next(iter(next(iter(result.courses.values())).values()))
    steps, size = some.steps[-1], len(some.sample)
    return (
        f"Every method gets the same networks, batches and {steps:,} generator steps; crosses are the centres of "
        "the real modes, and a mode counts as covered from a fifth of its fair share of samples on. The curves "
        f"are exact Wasserstein distances between {size:,} generated and {size:,} real points; the dotted "
        "line is what two sets of real data have between them. At the end: " + " ".join(sentences)
    )


def _course(method: methods.Method, world: str, steps: int, width: int, seed: int, size: int) -> Course:
    randomness, judging = (torch.Generator().manual_seed(s) for s in (seed, seed + 1000))
    mixture = toys.world(world)
    trainer = Trainer(
        method,
        generator_network(NOISE_DIM, width, 3, 2, randomness),
        critic_network(2, width, 3, randomness),
        mixture.draw,
        noise_dim=NOISE_DIM,
        batch_size=BATCH,
        randomness=randomness,
    )
    marks = np.unique(np.linspace(0, steps, 21).round().astype(int)[1:])
    distances = []
    for mark in marks:
        trainer.run(int(mark) - len(trainer.history))
        sample = trainer.sample(size, judging)
        distances.append(wasserstein.exact(sample, mixture.draw(size, judging)).value)
    assert isinstance(mixture, toys.Mixture)
    return Course(marks, np.array(distances), sample.numpy(), toys.covered_modes(mixture, sample))

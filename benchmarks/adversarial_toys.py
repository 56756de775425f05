"""Exact W1 and covered modes of the four methods on 8 and 25 Gaussians, after the same generator steps.

    python benchmarks/adversarial_toys.py [--steps 6000] [--width 128] [--seed 0]

Needs no data. Prints a line per world and method as soon as it is known, then the sampling floors.
"""

from __future__ import annotations

import argparse

import torch

from adversarial.experiments import generators


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = generators.run(
        seed=arguments.seed,
        full_steps=arguments.steps,
        width=arguments.width,
        observe=lambda world, method, course: print(
            f"{world} {method}: W1 {course.distances[-1]:.3f}, {course.modes} modes", flush=True
        ),
    )
    for world, floor in result.floors.items():
        print(f"{world} sampling floor: {floor:.3f}")


if __name__ == "__main__":
    main()

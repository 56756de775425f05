"""A critic's estimate against exact W1 on 12 fixed pairs, with the one-sided and the two-sided penalty.

    python benchmarks/adversarial_calibration.py [--count 500] [--steps 1500] [--seed 0]

Needs no data. Prints every pair, then the correlation and the range of estimate / exact.
"""

from __future__ import annotations

import argparse

import torch

from adversarial.estimate import calibrate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, one_sided in (("one-sided", True), ("two-sided", False)):
        found = calibrate(
            one_sided=one_sided, seed=arguments.seed, count=arguments.count, steps=arguments.steps
        )
        for pair, exact, estimated in zip(found.names, found.exact, found.estimated, strict=True):
            print(
                f"{name}  {pair:32s} exact {exact:.4f}  estimate {estimated:.4f}  ratio {estimated / exact:.3f}"
            )
        ratios = found.ratios
        print(f"{name}: correlation {found.correlation:.5f}, ratio {ratios.min():.3f} to {ratios.max():.3f}")


if __name__ == "__main__":
    main()

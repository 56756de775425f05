"""Exact W1: seconds and certificate by size, and agreement of network simplex with both linear programs.

    python benchmarks/adversarial_transport.py [--sizes 200 1000 2000] [--programs 50 200]

Needs no data: Gaussian clouds in the plane with random weights.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from adversarial import transport_programs, wasserstein


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000, 2000])
    parser.add_argument("--programs", type=int, nargs="+", default=[50, 200])
    arguments = parser.parse_args()
    for size in arguments.sizes:
        x, y, p, q = _problem(size)
        started, cpu = time.perf_counter(), time.process_time()
        found = wasserstein.exact(x, y, p, q)
        print(
            f"n {size}: W1 {found.value:.6f}, gap {found.gap:.1e}, violation {found.violation:.1e}, "
            f"{time.perf_counter() - started:.2f} s ({time.process_time() - cpu:.2f} CPU s)"
        )
    for size in arguments.programs:
        x, y, p, q = _problem(size)
        cost, value = wasserstein.distances(x, y), wasserstein.exact(x, y, p, q).value
        primal = transport_programs.primal(cost, p, q)[0] - value
        dual = transport_programs.dual(cost, p, q)[0] - value
        print(f"n {size}: primal - simplex {primal:.1e}, dual - simplex {dual:.1e}")


def _problem(size: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(size)
    p, q = rng.random((2, size))
    return rng.normal(size=(size, 2)), rng.normal(size=(size, 2)) + 0.5, p / p.sum(), q / q.sum()


if __name__ == "__main__":
    main()

"""CPU seconds per 1,000 steps of WDGRL in the `adapt` package, with the layers of `adversarial_speed.py`.

    PYTHON benchmarks/adversarial_adapt.py SOURCE.svmlight TARGET.svmlight [--steps 200]

PYTHON is an environment of its own with `adapt`, TensorFlow and nothing of ours. A step of theirs is one critic step
and one step of extractor and head; ours makes five critic steps in each.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

HIDDEN, CRITIC, BATCH, PENALTY, RATE, WIDTH = 500, 100, 32, 10.0, 1e-4, 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    from sklearn.datasets import load_svmlight_file

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    source, labels = load_svmlight_file(arguments.source, n_features=WIDTH)
    target, _ = load_svmlight_file(arguments.target, n_features=WIDTH)
    rows, answers = source.toarray().astype("float32"), (labels > 0).astype("float32")
    model = _model(tf, target.toarray().astype("float32"))
    _fit(model, rows, answers, 10)  # builds the graph
    started = time.process_time()
    done = _fit(model, rows, answers, arguments.steps)
    print(f"{1000 * (time.process_time() - started) / done:.2f}")


def _model(tf: Any, target: Any) -> Any:
    from adapt.feature_based import WDGRL

    layers = tf.keras.layers
    return WDGRL(
        encoder=tf.keras.Sequential([tf.keras.Input((WIDTH,)), layers.Dense(HIDDEN, activation="relu")]),
        task=tf.keras.Sequential([layers.Dense(1, activation="sigmoid")]),
        discriminator=tf.keras.Sequential([layers.Dense(CRITIC, activation="relu"), layers.Dense(1)]),
        Xt=target,
        loss="bce",
        optimizer=tf.keras.optimizers.Adam(RATE),
        gamma=PENALTY,
        verbose=0,
    )


def _fit(model: Any, rows: Any, answers: Any, steps: int) -> int:
    """At least so many steps, in whole passes over the rows; how many they were."""
    per_pass = min(steps, len(rows) // BATCH)
    passes = -(-steps // per_pass)
    model.fit(rows[: per_pass * BATCH], answers[: per_pass * BATCH], epochs=passes, batch_size=BATCH)
    return per_pass * passes


if __name__ == "__main__":
    main()

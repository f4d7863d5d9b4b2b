"""Record the updates of Keras' optimizers before 2.11: python scripts/record_legacy_keras.py, with tf_keras installed.

They are still in tf_keras.optimizers.legacy, which cannot be a dependency of the tests: it requires the full TensorFlow.
Writes tests/conformance/goldens/keras_legacy.npz: the initial values, the gradients, and for each call the values after every
step (float64; these classes keep their hyperparameters in float32, so that results are accurate to about 1e-6).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

OUTPUT = Path(__file__).parents[1] / "tests" / "conformance" / "goldens" / "keras_legacy.npz"
STEPS, SHAPE = 30, (4, 3)
CALLS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "Adam": [{}, {"epsilon": 1e-2}, {"amsgrad": True}],
    "Adamax": [{}, {"epsilon": 0.5}],
    "Nadam": [{}, {"epsilon": 1e-2}, {"schedule_decay": 0.1}],
    "RMSprop": [{}, {"epsilon": 1e-2}, {"momentum": 0.9}, {"momentum": 0.9, "epsilon": 1e-2}, {"centered": True}],
    "Adagrad": [{}, {"epsilon": 1e-2}, {"initial_accumulator_value": 0.5}],
    "Adadelta": [{}, {"epsilon": 1e-2}],
    "Ftrl": [{}, {"l1_regularization_strength": 0.01}],
}


def main() -> None:
    import tensorflow as tf
    import tf_keras

    random = np.random.default_rng(20)
    start = random.normal(size=SHAPE)
    gradients = random.normal(size=(STEPS, *SHAPE))
    recorded: dict[str, Any] = {"start": start, "gradients": gradients, "version": f"tf_keras {tf_keras.__version__}"}
    for name, calls in CALLS.items():
        for given in calls:
            optimizer = getattr(tf_keras.optimizers.legacy, name)(learning_rate=0.1, **given)
            variable = tf.Variable(start, dtype=tf.float64)
            values = []
            for gradient in gradients:
                optimizer.apply_gradients([(tf.constant(gradient), variable)])
                values.append(variable.numpy())
            recorded[f"{name} {json.dumps(given)}"] = np.stack(values)
    np.savez_compressed(OUTPUT, **recorded)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()

"""Steps with a gradient tape, rewritten, train under MindSpore as before, once the model and the loss are MindSpore's.

Keras models cannot be translated (their layers do not say how wide their inputs are), so each program is given its model.
"""

from __future__ import annotations

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import numbers, printed

DATA = """
import numpy as np
rng = np.random.default_rng(3)
data = [(rng.normal(size=(4, 2)).astype("float32"), rng.normal(size=(4, 3)).astype("float32")) for _ in range(6)]
weight, bias = rng.normal(size=(2, 3)).astype("float32"), rng.normal(size=3).astype("float32")
"""
KERAS = """
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(3), tf.keras.layers.Dropout(0.0)])
model.set_weights([weight, bias])
loss_fn = tf.keras.losses.MeanSquaredError()
data = [(tf.constant(x), tf.constant(y)) for x, y in data]
"""
MINDSPORE = """
import mindspore
dense = mindspore.nn.Dense(2, 3, weight_init=mindspore.Tensor(weight.T), bias_init=mindspore.Tensor(bias))
model = mindspore.nn.SequentialCell(dense, mindspore.nn.Dropout(p=0.0))
loss_fn = mindspore.nn.MSELoss()
data = [(mindspore.Tensor(x), mindspore.Tensor(y)) for x, y in data]
"""
PROGRAMS = {
    "a function": """
import tensorflow as tf

optimizer = tf.keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)

def train_step(x, y):
    with tf.GradientTape() as tape:
        # the forward part
        pred = model(x, training=True)
        loss = loss_fn(y, pred)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss, pred

for epoch in range(3):
    for x, y in data:
        loss, pred = train_step(x, y)
        print("LOSS", float(loss), pred.shape[0])
""",
    "a loop": """
import tensorflow as tf

def fit(model, epochs):
    opt = tf.keras.optimizers.SGD(0.05)
    for epoch in range(epochs):
        for step, (x, y) in enumerate(data):
            with tf.GradientTape() as tape:
                loss = loss_fn(y, model(x))
                loss = loss * 2.0
            if step > 100:
                break
            grads = tape.gradient(loss, model.trainable_weights)
            opt.apply_gradients(zip(grads, model.trainable_weights))
            print(f"LOSS {loss:.7f}", loss.numpy())

fit(model, 3)
""",
    "a class": """
import tensorflow as tf

class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = tf.keras.optimizers.Adagrad(0.1)

    def step(self, x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, self.model(x, training=True))
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        return loss

trainer = Trainer(model)
for x, y in data * 3:
    print("LOSS", float(trainer.step(x, y)))
""",
}


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_taped_steps_train_as_before(name: str, tables: MappingSet) -> None:
    options = Options(
        Framework("mindspore"), frozenset({Framework("tensorflow")}), prefer=Prefer.FAITHFUL, rewrite_step=True
    )
    result = translate_bytes(PROGRAMS[name].encode(), tables, options)
    assert "OM403" in {item.code.id for item in result.diagnostics}, [item.message for item in result.diagnostics]
    text = result.output.decode()
    assert "tensorflow" not in text
    before = numbers(printed("tensorflow", DATA + KERAS + PROGRAMS[name]))
    after = numbers(printed("mindspore", DATA + MINDSPORE + text))
    assert len(before) == 18
    assert abs(np.diff(np.array(before))).sum() > 1e-2
    np.testing.assert_allclose(after, before, rtol=2e-5)

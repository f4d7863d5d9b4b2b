"""Steps rewritten to torch's and TensorFlow's idiom train as before, once the model and the loss are the target's.

Each program is given a model, a loss and batches of its framework, with equal values. The model has batch normalization,
which tells training mode from inference.
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
data = [(rng.normal(size=(8, 2)).astype("float32"), rng.normal(size=(8, 3)).astype("float32")) for _ in range(6)]
first = [rng.normal(size=(2, 4)).astype("float32"), rng.normal(size=4).astype("float32")]
second = [rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=3).astype("float32")]
"""
TORCH = """
import torch
def make_model():
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4, eps=1e-3), torch.nn.Linear(4, 3))
    with torch.no_grad():
        for layer, (weight, bias) in ((model[0], first), (model[2], second)):
            layer.weight.copy_(torch.tensor(weight.T))
            layer.bias.copy_(torch.tensor(bias))
    return model
def criterion(pred, label):
    return ((pred - label) ** 2).mean()
def number(loss):
    return float(loss.detach())
def bias(model):
    return model[2].bias.norm()
data = [(torch.tensor(x), torch.tensor(y)) for x, y in data]
"""
TENSORFLOW = """
import tensorflow as tf
def make_model():
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [tf.keras.Input((2,)), layers.Dense(4), layers.BatchNormalization(epsilon=1e-3, momentum=0.9), layers.Dense(3)]
    )
    model.layers[0].set_weights(first)
    model.layers[2].set_weights(second)
    return model
def criterion(pred, label):
    return tf.reduce_mean((pred - label) ** 2)
def number(loss):
    return float(loss)
def bias(model):
    return tf.norm(model.layers[2].bias)
data = [(tf.constant(x), tf.constant(y)) for x, y in data]
"""
# MindSpore's forward functions do not say that a model trains: a Keras model for them must know it by itself.
TRAINING = """
make = make_model
class Training(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = make()
    def call(self, x):
        return self.inner(x, training=True)
make_model = Training
"""
MINDSPORE = """
import mindspore
def make_model():
    nn, tensor = mindspore.nn, mindspore.Tensor
    one = nn.Dense(2, 4, weight_init=tensor(first[0].T), bias_init=tensor(first[1]))
    two = nn.Dense(4, 3, weight_init=tensor(second[0].T), bias_init=tensor(second[1]))
    return nn.SequentialCell(one, nn.BatchNorm1d(4, eps=1e-3), two).set_train()
def criterion(pred, label):
    return ((pred - label) ** 2).mean()
def number(loss):
    return float(loss.asnumpy())
data = [(mindspore.Tensor(x), mindspore.Tensor(y)) for x, y in data]
"""
HEADERS = {Framework("torch"): TORCH, Framework("tensorflow"): TENSORFLOW, Framework("mindspore"): MINDSPORE}
FROM_MINDSPORE = {
    "aux": """
import mindspore as ms
from mindspore import nn

model = make_model()
optimizer = nn.SGD(model.trainable_params(), learning_rate=0.05, momentum=0.9)

def forward_fn(data, label):
    logits = model(data)
    loss = criterion(logits, label)
    return loss, logits

grad_fn = ms.value_and_grad(forward_fn, None, optimizer.parameters, has_aux=True)

def train_step(data, label):
    (loss, logits), grads = grad_fn(data, label)
    assert logits.shape[1] == 3
    optimizer(grads)
    return loss

for epoch in range(3):
    for x, y in data:
        print("LOSS", number(train_step(x, y)))
""",
    "class": """
from mindspore import nn, ops

class Trainer:
    def __init__(self, network):
        self.network = network
        self.optimizer = nn.Adagrad(self.network.trainable_params(), learning_rate=0.1)
        self.grad_fn = ops.value_and_grad(self.forward, None, weights=self.network.trainable_params())

    def forward(self, x, y):
        return criterion(self.network(x), y)

    def step(self, batch):
        loss, grads = self.grad_fn(*batch)
        # update
        self.optimizer(grads)
        return loss

trainer = Trainer(make_model())
for batch in data * 3:
    print("LOSS", number(trainer.step(batch)))
""",
    "loop": """
import mindspore

def fit(model, epochs):
    opt = mindspore.nn.SGD(model.trainable_params(), 0.1)
    def forward(x, y):
        return criterion(model(x), y)
    grad_fn = mindspore.value_and_grad(forward, None, opt.parameters)
    for epoch in range(epochs):
        for x, y in data:
            loss, grads = grad_fn(
                x,
                y,
            )
            if epoch > 100:
                break
            opt(grads)
            print("LOSS", number(loss))

fit(make_model(), 3)
""",
}
FROM_TENSORFLOW = {
    "function": """
import tensorflow as tf

model = make_model()
optimizer = tf.keras.optimizers.SGD(learning_rate=0.05, momentum=0.9)

def train_step(x, y):
    with tf.GradientTape() as tape:
        # the forward part
        pred = model(x, training=True)
        if epoch > 1:
            loss = criterion(pred, y) * 2.0
        else:
            loss = criterion(pred, y)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss

for epoch in range(3):
    for x, y in data:
        print("LOSS", number(train_step(x, y)))
x, _ = data[0]
print("LOSS", number(criterion(model(x[:2]), model(x)[:2])))
""",
    "class": """
import tensorflow as tf

class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = tf.keras.optimizers.Adagrad(0.1)

    def step(self, x, y):
        with tf.GradientTape() as tape:
            loss = criterion(self.model(x, training=True), y)
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        return loss

trainer = Trainer(make_model())
for x, y in data * 3:
    print("LOSS", number(trainer.step(x, y)))
x, _ = data[0]
print("LOSS", number(criterion(trainer.model(x[:2]), trainer.model(x)[:2])))
""",
}
FROM_TORCH = {
    "function": """
import torch

model = make_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

def train_step(x, y):
    # the forward part
    pred = model(x)
    optimizer.zero_grad()
    if epoch > 1:
        loss = criterion(pred, y) * 2.0
    else:
        loss = criterion(pred, y)
    loss.backward()
    optimizer.step()
    return loss

for epoch in range(3):
    for x, y in data:
        print("LOSS", number(train_step(x, y)))
""",
    "class": """
import torch

class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.Adagrad(self.model.parameters(), lr=0.1)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = criterion(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

trainer = Trainer(make_model())
for x, y in data * 3:
    print("LOSS", number(trainer.step(x, y)))
""",
    "no variable": """
import torch

def fit(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for x, y in data * 3:
        criterion(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        print("LOSS", number(bias(model)))

fit(make_model())
""",
}
PAIRS = [
    *((Framework("mindspore"), Framework("torch"), name, text) for name, text in FROM_MINDSPORE.items()),
    *((Framework("mindspore"), Framework("tensorflow"), name, text) for name, text in FROM_MINDSPORE.items()),
    *((Framework("tensorflow"), Framework("torch"), name, text) for name, text in FROM_TENSORFLOW.items()),
    *((Framework("torch"), Framework("tensorflow"), name, text) for name, text in FROM_TORCH.items()),
]


@pytest.mark.parametrize(
    ("source", "target", "name", "text"), PAIRS, ids=[f"{a}-{b}-{name}" for a, b, name, _ in PAIRS]
)
def test_steps_train_as_before(source: Framework, target: Framework, name: str, text: str, tables: MappingSet) -> None:
    # The faithful counterparts are TensorFlow 1 optimizers, which do not take the variables of Keras 3.
    options = Options(
        target,
        frozenset({source}),
        prefer=Prefer.FAITHFUL if target is Framework("torch") else Prefer.AUTO,
        rewrite_step=True,
    )
    result = translate_bytes(text.encode(), tables, options)
    assert "OM403" in {item.code.id for item in result.diagnostics}, [item.message for item in result.diagnostics]
    rewritten = result.output.decode()
    assert f"import {source}" not in rewritten
    knows = TRAINING if (source, target) == (Framework("mindspore"), Framework("tensorflow")) else ""
    before = numbers(printed(source, DATA + HEADERS[source] + text))
    after = numbers(printed(target, DATA + HEADERS[target] + knows + rewritten))
    assert len(before) >= 18
    assert abs(np.diff(np.array(before))).sum() > 1e-2
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-9)

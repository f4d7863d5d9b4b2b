"""Programs with loaders train under MindSpore as they did: each batch is converted where a loop gets it."""

from __future__ import annotations

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import numbers, printed

PROGRAM = """
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

class Rows(Dataset):
    def __init__(self):
        self.xs = torch.arange(64, dtype=torch.float32).reshape(16, 4) / 64

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return self.xs[index], torch.tensor(index % 3)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)

def train(model, loader, optimizer):
    total = 0.0
    for batch in loader:
        x, y = batch
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * x.size(0)
    print("LOSS", total)

def evaluate(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            correct += (model(x).argmax(dim=1) == y).sum().item()
    model.train()
    print("LOSS", correct / len(loader.dataset))

loader = DataLoader(Rows(), batch_size=4)
model = Net().to(device)
# weights
optimizer = optim.SGD(model.parameters(), lr=0.5)
for epoch in range(3):
    train(model, loader, optimizer)
    evaluate(model, loader)
"""
VALUES = "[[0.1, -0.2, 0.3, 0.4], [0.0, 0.2, -0.1, 0.3], [-0.3, 0.1, 0.2, 0.0]]"
TAPE = """
import numpy as np
import tensorflow as tf
from {module} import {names}

{made}
optimizer = tf.keras.optimizers.SGD(0.5)
dataset = tf.data.Dataset.from_tensor_slices((np.arange(32, dtype=np.float32).reshape(8, 4) / 32, np.ones((8, 1), np.float32))).batch(4)

@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    return loss

for epoch in range(3):
    for x, y in dataset:
        print("LOSS", float(train_step(x, y)))
"""


def translated(text: str, source: str, tables: MappingSet) -> str:
    options = Options(Framework("mindspore"), frozenset({Framework(source)}), rewrite_step=True)
    return translate_bytes(text.encode(), tables, options).output.decode()


def test_a_loader_of_torch_feeds_mindspore(tables: MappingSet) -> None:
    new = translated(PROGRAM, "torch", tables)
    assert new.count("(mindspore.Tensor(t.numpy()) for t in (x, y))") == 2
    assert "torch.device" not in new
    given = f"model.fc.weight.data = torch.tensor({VALUES}); model.fc.bias.data.zero_()"
    before = numbers(printed("torch", PROGRAM.replace("# weights", given)))
    given = f"model.fc.weight.set_data(mindspore.Tensor({VALUES})); model.fc.bias.set_data(mindspore.ops.zeros(3))"
    after = numbers(printed("mindspore", new.replace("# weights", given)))
    assert len(before) == 6
    assert after == pytest.approx(before, rel=1e-5)


def test_a_dataset_of_tensorflow_feeds_mindspore(tables: MappingSet) -> None:
    shape = "np.arange(4, dtype=np.float32)"
    keras = TAPE.format(
        module="tensorflow", names="keras", made=f"""
model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
model.build((None, 4))
model.set_weights([{shape}.reshape(4, 1)])
loss_fn = keras.losses.MeanSquaredError()""",
    )  # fmt: skip
    before = numbers(printed("tensorflow", keras))
    own = TAPE.format(module="models", names="loss_fn, model", made="")
    new = translated(own, "tensorflow", tables)
    assert "x, y = (mindspore.Tensor(t.numpy()) for t in (x, y))" in new
    made = f"""
from mindspore import nn
model = nn.Dense(4, 1, has_bias=False)
model.weight.set_data(mindspore.Tensor({shape}.reshape(1, 4)))
loss_fn = nn.MSELoss()"""
    after = numbers(printed("mindspore", new.replace("from models import loss_fn, model", made)))
    assert len(before) == 6
    assert after == pytest.approx(before, rel=1e-5)
    assert np.ptp(before) > 0

"""Rows used in other directions than torch to MindSpore, proved by execution: the same values and gradients in both frameworks.

Each direction is one program, in the words of its source, whose step computes every expression; both sides run on the same inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.steps import load_table
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import execute, framework_module

IMPORTS = {"torch": "import torch\nimport torch.nn.functional as F", "tensorflow": "import tensorflow as tf",
           "mindspore": "import mindspore\nfrom mindspore import ops"}  # fmt: skip
STEPS = {
    "torch": """
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
def train_step(x, y, p):
    optimizer.zero_grad()
    loss = net(x).sum() + {calls}
    loss.backward()
    optimizer.step()
""",
    "tensorflow": """
optimizer = tf.keras.optimizers.SGD(learning_rate=0.1)
def train_step(x, y, p):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(net(x)) + {calls}
    grads = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(grads, net.trainable_variables))
""",
    "mindspore": """
optimizer = mindspore.nn.SGD(net.trainable_params(), 0.1)
def forward_fn(x, y, p):
    return net(x).sum() + {calls}
grad_fn = mindspore.value_and_grad(forward_fn, None, optimizer.parameters)
def train_step(x, y, p):
    loss, grads = grad_fn(x, y, p)
    optimizer(grads)
""",
}
MODELS = {"torch": "net = torch.nn.Linear(1, 1)", "tensorflow": "net = tf.keras.layers.Dense(1)\nnet.build((1, 1))",
          "mindspore": "net = mindspore.nn.Dense(1, 1)"}  # fmt: skip
SAMPLES: dict[str, dict[str, list[str]]] = {
    "torch": {
        "f_relu": ["F.relu(x)"], "f_sigmoid": ["F.sigmoid(x)"], "f_tanh": ["F.tanh(x)"], "t_relu": ["torch.relu(x)"],
        "t_sigmoid": ["torch.sigmoid(x)"], "t_tanh": ["torch.tanh(x)"], "t_exp": ["torch.exp(x)"], "log": ["torch.log(p)"],
        "sqrt": ["torch.sqrt(p)"], "sin": ["torch.sin(x)"], "cos": ["torch.cos(x)"], "abs": ["torch.abs(x)"],
        "square": ["torch.square(x)"], "pow": ["torch.pow(p, 2.0)", "torch.pow(x, 2)"], "matmul": ["torch.matmul(x, y.reshape(3, 4))", "x.matmul(y.view(3, 4))"],
        "t_softmax": ["torch.softmax(x, 0)", "torch.softmax(x, dim=-1)"], "t_log_softmax": ["torch.log_softmax(x, dim=1)"],
        "concatenate": ["torch.cat([x, y])", "torch.cat((x, y), dim=1)"], "stack": ["torch.stack([x, y])", "torch.stack([x, y], 1)"],
        "unsqueeze": ["torch.unsqueeze(x, 1)"], "where": ["torch.where(x > 0, x, y)"], "zeros_like": ["torch.zeros_like(x) + x"],
        "ones_like": ["torch.ones_like(x) * x"], "reshape": ["torch.reshape(x, (4, -1))"],
        "mean": ["torch.mean(x)", "torch.mean(x, 1)", "torch.mean(x, dim=0, keepdim=True)", "x.mean()", "x.mean(-1)", "x.mean(dim=(0, 1))"],
        "sum": ["torch.sum(x)", "torch.sum(x, dim=1)", "x.sum()", "x.sum(0, keepdim=True)"], "tensor": ["x * torch.tensor(2.0)", "x * torch.tensor([1.5, 2.0, 3.0])"],
        "exp": ["x.exp()"], "sigmoid": ["x.sigmoid()"], "tanh": ["x.tanh()"], "relu": ["x.relu()"], "softmax": ["x.softmax(dim=1)"],
        "detach": ["x * x.detach()"], "view": ["x.view(-1)", "x.view(3, -1)", "x.view(x.size(0), 1, -1)"], "size_of": ["x / x.size(1)"],
        "ndim": ["x * x.ndim"], "shape": ["x / x.shape[0]"], "numpy": [],
    },
    "tensorflow": {
        "f_relu": ["tf.nn.relu(x)"], "f_sigmoid": ["tf.nn.sigmoid(x)"], "f_tanh": ["tf.nn.tanh(x)"], "t_relu": [], "clamp": [],
        "t_sigmoid": ["tf.sigmoid(x)", "tf.math.sigmoid(x)"], "t_tanh": ["tf.tanh(x)", "tf.math.tanh(x)"],
        "t_exp": ["tf.exp(x)", "tf.math.exp(x)"], "log": ["tf.math.log(p)"], "sqrt": ["tf.sqrt(p)", "tf.math.sqrt(p)"],
        "sin": ["tf.sin(x)"], "cos": ["tf.cos(x)"], "abs": ["tf.abs(x)", "tf.math.abs(x)"],
        "square": ["tf.square(x)", "tf.math.square(x)"], "pow": ["tf.pow(p, 2.0)", "tf.math.pow(x, 2)"],
        "matmul": ["tf.matmul(x, tf.reshape(y, (3, 4)))", "tf.linalg.matmul(x, tf.reshape(y, (3, 4)))"],
        "tf_softmax": ["tf.nn.softmax(x)", "tf.nn.softmax(x, axis=0)"], "tf_log_softmax": ["tf.nn.log_softmax(x)", "tf.nn.log_softmax(x, axis=0)"],
        "concatenate": ["tf.concat([x, y], 0)", "tf.concat([x, y], axis=-1)"], "stack": ["tf.stack([x, y])", "tf.stack([x, y], axis=1)"],
        "unsqueeze": ["tf.expand_dims(x, 1)", "tf.expand_dims(x, axis=-1)"], "where": ["tf.where(x > 0, x, y)"],
        "zeros_like": ["tf.zeros_like(x) + x"], "ones_like": ["tf.ones_like(x) * x"], "reshape": ["tf.reshape(x, (4, 3))", "tf.reshape(x, [-1])"],
        "mean": ["tf.reduce_mean(x)", "tf.reduce_mean(x, axis=1)", "tf.reduce_mean(x, axis=[0, 1])", "tf.reduce_mean(x, 0, keepdims=True)", "tf.math.reduce_mean(x)"],
        "sum": ["tf.reduce_sum(x)", "tf.reduce_sum(x, axis=-1)", "tf.math.reduce_sum(x, axis=0)"], "tensor": ["x * tf.constant(2.0)", "x * tf.constant([1.5, 2.0, 3.0])"],
        "clip_by_value": ["tf.clip_by_value(x, -0.5, 0.5)", "tf.clip_by_value(p, 0.1, 0.9)"], "stop_gradient": ["x * tf.stop_gradient(x)"],
        "cast": ["tf.cast(x, tf.float32)", "tf.cast(x > 0, tf.float32) * x", "tf.cast(x, dtype=tf.float64)"],
        "ndim": ["x * x.ndim"], "shape": ["x / x.shape[0]"], "numpy": [], "tf_l2_loss": ["tf.nn.l2_loss(x)", "1.0 / tf.nn.l2_loss(x)"],
        "tf_add_n": ["tf.add_n([x, y, p])", "tf.math.add_n([tf.nn.l2_loss(v) for v in (x, y)])"], "tf_multiply": ["tf.multiply(x, y)", "tf.multiply(x, 2.0)"],
        "tf_subtract": ["tf.subtract(x, y)"], "tf_squared_difference": ["tf.math.squared_difference(x, y)", "tf.math.squared_difference(x, 0.5)"],
        "tf_one_hot": ["x * tf.one_hot(tf.constant([2, 0, 1, 1]), depth=3)"] , "tf_reduce_max": ["tf.reduce_max(x, axis=1)", "tf.math.reduce_max(x, axis=-1, keepdims=True)"],
        "tf_split": ["tf.split(x, 3, axis=1)[1]", "tf.split(x, num_or_size_splits=2)[0] * 2.0"],
        "tf_sparse_cross_entropy": ["tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([2, 0, 1, 1]), logits=x)",
                                    "tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant([[2, 0], [1, 1]]), tf.reshape(x, (2, 2, 3)))"],
        "tf_cross_entropy": ["tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(p), logits=x)", "tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(tf.reshape(p, (2, 2, 3))), tf.reshape(x, (2, 2, 3)))"],
        "tf_sigmoid_cross_entropy": ["tf.nn.sigmoid_cross_entropy_with_logits(labels=p, logits=x)"],
        "keras_mse": ["tf.keras.losses.MeanSquaredError()(p, x)", "tf.keras.losses.MeanSquaredError()(p[:, 0], x[:, :1])"],
        "keras_mae": ["tf.keras.losses.MeanAbsoluteError()(y_true=p, y_pred=x)"], "keras_huber": ["tf.keras.losses.Huber()(p, 3.0 * x)"],
        "keras_binary_cross_entropy": ["tf.keras.losses.BinaryCrossentropy(from_logits=True)(p, x)"],
        "keras_sparse_cross_entropy": ["tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)(tf.constant([2, 0, 1, 1]), x)",
                                       "tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, name='ce')(tf.constant([[2], [0], [1], [1]]), x)",
                                       "tf.keras.losses.SparseCategoricalCrossentropy(True)(tf.constant([[2, 0], [1, 1]]), tf.reshape(x, (2, 2, 3)))"],
        "keras_cross_entropy": ["tf.keras.losses.CategoricalCrossentropy(from_logits=True)(tf.nn.softmax(p), x)",
                                "tf.keras.losses.CategoricalCrossentropy(from_logits=True)(tf.nn.softmax(tf.reshape(p, (2, 2, 3))), tf.reshape(x, (2, 2, 3)))"],
    },
    "mindspore": {
        "f_relu": ["ops.relu(x)"], "f_sigmoid": ["ops.sigmoid(x)"], "f_tanh": ["ops.tanh(x)"], "t_relu": [], "t_sigmoid": [], "t_tanh": [],
        "t_exp": ["ops.exp(x)"], "log": ["ops.log(p)"], "sqrt": ["ops.sqrt(p)"], "sin": ["ops.sin(x)"], "cos": ["ops.cos(x)"],
        "abs": ["ops.abs(x)", "x.abs()"], "square": ["ops.square(x)", "x.square()"], "pow": ["ops.pow(x, 2)", "x.pow(2)"],
        "matmul": ["ops.matmul(x, y.reshape(3, 4))", "x.matmul(y.reshape(3, 4))"], "mm": ["ops.mm(x, y.reshape(3, 4))"],
        "t_softmax": ["ops.softmax(x)", "ops.softmax(x, axis=0)"], "t_log_softmax": ["ops.log_softmax(x)", "ops.log_softmax(x, 0)"],
        "concatenate": ["ops.cat([x, y])", "ops.cat((x, y), axis=1)"], "stack": ["ops.stack([x, y])", "ops.stack([x, y], axis=1)"],
        "unsqueeze": ["ops.unsqueeze(x, 1)", "x.unsqueeze(-1)"], "where": ["ops.where(x > 0, x, y)"], "zeros_like": ["ops.zeros_like(x) + x"],
        "ones_like": ["ops.ones_like(x) * x"], "reshape": ["ops.reshape(x, (4, 3))", "x.reshape(-1)", "x.reshape(4, 3)"],
        "mean": ["ops.mean(x)", "ops.mean(x, 1)", "ops.mean(x, axis=0, keep_dims=True)", "x.mean()", "x.mean(axis=1)", "x.mean(0, True)"],
        "sum": ["ops.sum(x)", "ops.sum(x, dim=1)", "x.sum()", "x.sum(axis=-1)", "x.sum(axis=0, keepdims=True)"],
        "tensor": ["x * mindspore.tensor(2.0)"], "f_mse_loss": ["ops.mse_loss(x, y)", "ops.mse_loss(x, y, reduction='sum')"],
        "f_l1_loss": ["ops.l1_loss(x, y)"], "ms_f_mse_loss": ["ops.mse_loss(x, y)"], "ms_f_l1_loss": ["ops.l1_loss(x, y)"],
        "mse_loss": ["mindspore.nn.MSELoss()(x, y)", "mindspore.nn.MSELoss('sum')(x, y)"], "ms_mse_loss": ["mindspore.nn.MSELoss()(x, y)"],
        "l1_loss": ["mindspore.nn.L1Loss()(x, y)"], "ms_l1_loss": ["mindspore.nn.L1Loss()(x, y)"],
        "f_cross_entropy": ["ops.cross_entropy(x, p)", "ops.cross_entropy(x, ops.softmax(y), reduction='sum')"],
        "ms_cross_entropy": ["mindspore.nn.CrossEntropyLoss()(x, ops.softmax(y))"],
        "ms_sparse_cross_entropy": ["mindspore.nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction='mean')(x, mindspore.tensor([2, 0, 1, 1]))"],
        "ms_bce_with_logits": ["mindspore.nn.BCEWithLogitsLoss()(x, p)"], "tf_split": ["ops.chunk(x, 3, axis=1)[1]"],
        "flatten_tensor": ["ops.flatten(x)", "ops.flatten(x, start_dim=0)"],
        "clamp": ["ops.clamp(x, -0.5, 0.5)", "ops.clamp(x, min=0.1)"], "stop_gradient": ["x * ops.stop_gradient(x)"],
        "cast": ["ops.cast(x, mindspore.float32)"], "exp": ["x.exp()"], "sigmoid": ["x.sigmoid()"], "tanh": ["x.tanh()"],
        "softmax": ["x.softmax(axis=1)"], "view": ["x.view(-1)", "x.view(3, -1)"], "float": ["x.float()"],
        "ndim": ["x * x.ndim"], "shape": ["x / x.shape[0]"], "numpy": [],
    },
}  # fmt: skip
"""The expressions of each row, in the words of the source; the row's method is among those of its function."""
DIRECTIONS = [
    ("torch", "tensorflow"),
    ("tensorflow", "torch"),
    ("tensorflow", "mindspore"),
    ("mindspore", "torch"),
    ("mindspore", "tensorflow"),
]


def row_names(source: str, target: str) -> set[str]:
    from optmap.mapping.steps import load_file

    file, table = load_file(), load_table(Framework(source), Framework(target))
    used = {pair.place for rows in (*table.callables.values(), *table.methods.values()) for pair in rows}
    return {name for rows in (file.callables, file.methods) for name, row in rows.items() if str(row.at) in used}


def samples(source: str, target: str) -> list[str]:
    names = row_names(source, target)
    return [text for name, texts in SAMPLES[source].items() if name in names for text in texts]


def both(source: str, target: str, tables: MappingSet) -> tuple[dict[str, Any], dict[str, Any]]:
    framework_module(source), framework_module(target)
    texts = samples(source, target)
    cases = "".join(f"\ndef case_{index}(x, y, p):\n    return {text}\n" for index, text in enumerate(texts))
    calls = " + ".join(f"case_{index}(x, y, p)" for index in range(len(texts)))
    text = f"{IMPORTS[source]}\nfrom models import net\n{cases}{STEPS[source].format(calls=calls)}"
    result = translate_bytes(
        text.encode(), tables, Options(Framework(target), frozenset({Framework(source)}), rewrite_step=True)
    )
    assert "OM403" in {item.code.id for item in result.diagnostics}, [item.message[:400] for item in result.diagnostics]
    own, other = (f"{IMPORTS[name]}\n{MODELS[name]}\n" for name in (source, target))
    skip = "from models import net\n"
    return execute(own + text.replace(skip, "")), execute(other + result.output.decode().replace(skip, ""))


def run(framework: str, function: Any, values: list[Any], weights: Any) -> tuple[Any, list[Any]]:
    """What a function gives, and the gradients of a weighted sum of it."""
    module = framework_module(framework)
    if framework == "torch":
        given = [module.tensor(item, requires_grad=True) for item in values]
        found = function(*given)
        (found * module.tensor(weights(found.shape), dtype=found.dtype)).sum().backward()
        slopes = [0 * item.detach() if item.grad is None else item.grad for item in given]
        return found.detach().numpy(), [slope.numpy() for slope in slopes]
    if framework == "tensorflow":
        given = [module.constant(item) for item in values]
        with module.GradientTape() as tape:
            for item in given:
                tape.watch(item)
            found = function(*given)
            total = module.reduce_sum(found * module.constant(weights(found.shape), found.dtype))
        slopes = tape.gradient(total, given, unconnected_gradients="zero")
        return found.numpy(), [slope.numpy() for slope in slopes]
    given = [module.Tensor(item) for item in values]
    found = function(*given)
    weighed = module.Tensor(weights(found.shape), found.dtype)
    gradients = module.grad(lambda x, y, p: (function(x, y, p) * weighed).sum(), (0, 1, 2))(*given)
    return found.asnumpy(), [item.asnumpy() for item in gradients]


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_row_means_the_same(source: str, target: str, tables: MappingSet) -> None:
    before, after = both(source, target, tables)
    random = np.random.default_rng(4)
    values = [random.normal(size=(4, 3)), random.normal(size=(4, 3)), random.uniform(0.05, 0.95, size=(4, 3))]
    values = [item.astype("float32") for item in values]
    values[0][0, 0] = 0.0

    def weights(shape: Any) -> Any:
        return np.random.default_rng(9).normal(size=tuple(shape))

    for index, text in enumerate(samples(source, target)):
        expected, slopes = run(source, before[f"case_{index}"], values, weights)
        found, others = run(target, after[f"case_{index}"], values, weights)
        assert found.dtype == expected.dtype, text
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6, err_msg=text)
        for one, other in zip(slopes, others, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5, err_msg=text)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_every_row_has_an_expression(source: str, target: str) -> None:
    assert row_names(source, target) <= SAMPLES[source].keys()

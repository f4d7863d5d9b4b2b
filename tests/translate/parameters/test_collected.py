"""What `minimize(loss)` of TensorFlow 1 is said to train is what TensorFlow's own graph gives gradients for, or it is refused."""

from __future__ import annotations

import ast
from itertools import pairwise
from typing import Any

import pytest

from optmap import translate_source

HEAD = "import numpy as np\nimport tensorflow.compat.v1 as tf\n"
TAIL = "optimizer = tf.train.AdamOptimizer(0.1)\ntrain = optimizer.minimize(loss)\n"

TOLD = {
    "single variables": "W = tf.Variable(1.0)\nb = tf.Variable(np.zeros([1], 'float32'), name='b')\nloss = tf.square(W * 2.0 + b)\n",
    "some are not reached, or not trained": (
        "W, U = tf.Variable(1.0), tf.Variable(2.0)\nfrozen = tf.Variable(1.0, trainable=False)\nloss = W * frozen\n"
    ),
    "dictionaries and a function": (
        "def net(x, w, scale=tf.square):\n    h = x * w['a']\n    return h + w['b'] * bias\n"
        "weights = {'a': tf.Variable(1.0), 'b': tf.Variable(2.0)}\nbias = tf.get_variable('bias', [], tf.float32)\n"
        "loss = tf.reduce_mean(net(tf.constant(3.0), weights))\n"
    ),
    "a function that makes them": (
        "def weight(shape):\n    start = tf.zeros(shape)\n    return tf.Variable(start)\n"
        "one = weight([2])\nother = weight([2])\nloss = tf.reduce_sum(one * 2.0) + tf.reduce_sum(other)\n"
    ),
    "no gradient passes": "W = tf.Variable(1.0)\nT = tf.Variable(1.0)\nloss = W * tf.stop_gradient(T)\n",
    "branches": "W = tf.Variable(1.0)\nb = tf.Variable(2.0)\nloss = tf.cond(W > 0.0, lambda: W * 2.0, lambda: b)\n",
    "tuples and branches of Python": (
        "W = tf.Variable(1.0)\nb = tf.Variable(2.0)\npair = (W * 2.0, b)\nlogits, more = pair\n"
        "if True:\n    loss = logits + more\nelse:\n    loss = logits\n"
    ),
    "objects": (
        "class Net:\n    def __init__(self):\n        self.w = tf.Variable(1.0)\n        self.loss = self.cost()\n"
        "        self.optimizer = tf.train.AdamOptimizer(0.1)\n        self.train = self.optimizer.minimize(self.loss)\n"
        "    def cost(self):\n        return self.w * 2.0\nnet = Net()\nloss = net.loss\nself = net\n"
    ),
}  # fmt: skip
HIDDEN = {
    "a layer": "import layers\nloss = layers.dense(2.0)\n",
    "another file": "from model import loss\n",
    "a member of another file": "import model\nloss = model.net.loss\n",
    "a loop": "loss = 0.0\nfor i in range(2):\n    w = tf.Variable(1.0)\n    loss = loss + w\n",
    "a sum": "W = tf.Variable(1.0)\nV = tf.Variable(1.0)\nloss = W * 1.0\nloss += V\n",
    "a list": "W = tf.Variable(1.0)\nV = tf.Variable(1.0)\nparts = [W]\nparts.append(V)\nloss = tf.add_n(parts)\n",
    "a dictionary": "w = {'a': tf.Variable(1.0)}\nw['b'] = tf.Variable(1.0)\nloss = w['a'] * w['b']\n",
    "an item": "w = {'a': tf.Variable(1.0), 'b': None}\nloss = w['a'] * 1.0\n",
    "two names": "W = V = tf.Variable(1.0)\nloss = W * V\n",
    "bound again": "W = tf.Variable(1.0)\nloss = W * 1.0\nW = tf.Variable(2.0)\n",
    "inside a function": "def f():\n    w = tf.Variable(1.0)\n    return w * 2.0\nloss = f()\n",
    "a function called twice": "def f():\n    global w\n    w = tf.Variable(1.0)\n    return w * 2.0\nloss = f() + f()\n",
    "a comprehension": "ws = [tf.Variable(1.0) for _ in range(2)]\nloss = tf.add_n([w * 1.0 for w in ws])\n",
    "maybe trained": "flag = 1 > 2\nW = tf.Variable(1.0, trainable=flag)\nV = tf.Variable(1.0)\nloss = W * V\n",
    "arguments": "given = [1.0, False]\nW = tf.Variable(*given)\nV = tf.Variable(1.0)\nloss = W * V\n",
    "reuse": (
        "with tf.variable_scope('a', reuse=tf.AUTO_REUSE):\n    W = tf.get_variable('w', [])\n    V = tf.get_variable('w', [])\n"
        "loss = W * V\n"
    ),
    "a collection": "W = tf.Variable(1.0)\nloss = W * 1.0 + tf.add_n(tf.get_collection('losses'))\n",
    "a decorated function": "@wrap\ndef f(x):\n    return x * 2.0\nW = tf.Variable(1.0)\nloss = f(W)\n",
    "an argument": "W = tf.Variable(1.0)\ndef train(extra):\n    loss = W * extra\n    return loss\nloss = run(train)\n",
    "an object of its own": "class A:\n    def __call__(self, x):\n        return x * V\nV = tf.Variable(1.0)\nloss = A()(2.0)\n",
    "nothing binds it": "loss = W * 1.0\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_the_variables_are_those_of_the_graph(name: str) -> None:
    tensorflow = pytest.importorskip("tensorflow").compat.v1
    tail = TAIL if "minimize" not in TOLD[name] else ""
    program = HEAD + TOLD[name] + tail
    result = translate_source(program, "torch")
    assert [call.status for call in result.calls] == ["translated"], result.diagnostics
    calls = [node for node in ast.walk(ast.parse(result.text)) if isinstance(node, ast.Call)]
    made = next(node for node in calls if ast.unparse(node.func) == "torch.optim.Adam")
    with tensorflow.Graph().as_default():
        space: dict[str, Any] = {}
        exec(compile(program, name, "exec"), space)  # what the test wrote itself
        told = eval(ast.unparse(made.args[0]), space)
        given = tensorflow.train.GradientDescentOptimizer(0.1).compute_gradients(space["loss"])
        trained = {variable.name for gradient, variable in given if gradient is not None}
        assert {item.name for item in told} == trained
        assert len(told) == len(trained)


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_bring_in_other_variables_is_refused(name: str) -> None:
    result = translate_source(HEAD + HIDDEN[name] + TAIL, "mindspore")
    assert [call.status for call in result.calls] == ["refused"], result.text
    assert [item.code.id for item in result.diagnostics] == ["OM204"]


def test_the_order_is_that_of_the_file() -> None:
    names = [f"w{number}" for number in range(5)]
    lines = [f"{name} = tf.Variable(1.0)\n" for name in names]
    sums = "".join(f"s_{one} = {one} * {other}\n" for one, other in pairwise(names))
    program = f"{HEAD}{''.join(lines)}{sums}loss = s_w3 + s_w0 + s_w1 + s_w2\n{TAIL}"
    assert "[w0, w1, w2, w3, w4]" in translate_source(program, "mindspore").text

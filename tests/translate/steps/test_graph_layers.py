"""A graph of several layers trains under MindSpore: no two of their parameters have one name."""

from __future__ import annotations

from optmap.api import translate_source
from tests.translate.programs import execute, framework_module

GRAPH = """\
import numpy as np
import tensorflow.compat.v1 as tf

x = tf.constant(np.ones((4, 3)), dtype=tf.float32)
y = tf.constant(np.zeros((4, 1)), dtype=tf.float32)
first = tf.layers.dense(x, 8)
second = tf.layers.dense(first, 8)
out = tf.layers.dense(second, 1)
loss = tf.losses.mean_squared_error(y, out)
train = tf.train.GradientDescentOptimizer(0.001).minimize(loss)
values = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(5):
        sess.run(train)
        values.append(sess.run(loss))
"""


def test_layers_of_a_graph_have_names_of_their_own() -> None:
    framework_module("mindspore")
    names = execute(translate_source(GRAPH, rewrite_step=True).output.decode())
    assert len({item.name for item in names["train"].parameters}) == 6
    assert names["values"][-1] < names["values"][0]

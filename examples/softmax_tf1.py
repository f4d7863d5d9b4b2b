"""Softmax regression in TensorFlow 1 style. TF1 trains every variable, so optmap asks for --params."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()

features = tf.placeholder(tf.float32, [None, 4])
labels = tf.placeholder(tf.float32, [None, 3])
weights = tf.get_variable("weights", [4, 3])
bias = tf.get_variable("bias", [3], initializer=tf.zeros_initializer())
logits = tf.matmul(features, weights) + bias
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits))
train_op = tf.train.MomentumOptimizer(learning_rate=0.1, momentum=0.9, use_nesterov=False).minimize(loss)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for step in range(100):
        x = np.random.rand(16, 4)
        y = np.eye(3)[x.argmax(axis=1) % 3]
        _, value = session.run([train_op, loss], {features: x, labels: y})
    print(value)

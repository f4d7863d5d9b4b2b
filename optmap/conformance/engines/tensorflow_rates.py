"""Learning rates of TensorFlow's schedules: Keras' objects called with the step, TensorFlow 1's functions in eager mode."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from optmap.conformance.schedule_jobs import ScheduleJob


def rates(job: ScheduleJob) -> list[float]:
    """The learning rate of each step."""
    module, _, name = job.api.rpartition(".")
    if module == "tf.keras.optimizers.schedules":
        schedule = getattr(tf.keras.optimizers.schedules, name)(**job.arguments)
        return [float(schedule(tf.constant(step, tf.int64))) for step in range(job.steps)]
    function = getattr(tf.compat.v1.train, name)
    counter = "x" if name.startswith("piecewise") else "global_step"
    return [float(function(**{counter: tf.constant(step)}, **job.arguments)()) for step in range(job.steps)]

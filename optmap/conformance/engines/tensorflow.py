"""TensorFlow on CPU: Keras 3 optimizers and those of `tf.compat.v1.train`, each step compiled with `tf.function`.

Tracing takes far longer than running, so jobs with the same constructor call share one program: their parameters are
concatenated in one variable, which makes no difference to an optimizer that works element by element.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

from optmap.conformance.engines import described, each
from optmap.conformance.engines.tensorflow_program import Program
from optmap.conformance.scenario import Failure, Job, Outcome, ScheduleJob, Trace

with suppress(RuntimeError):  # a process that has used TensorFlow keeps the threads with which it began
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)

COUPLED: Final = ("Adafactor", "Lamb", "Muon")
"""Classes in which the update of an element depends on other elements."""
COUPLING: Final = ("clipnorm", "global_clipnorm")
"""Arguments that make the update of an element depend on other elements."""


def version() -> str:
    """See `Engine`."""
    return str(tf.__version__)


def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """See `Engine`."""
    programs: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        programs.setdefault(_key(job, index), []).append(index)
    outcomes: dict[int, Outcome] = {}
    for indices in programs.values():
        outcomes |= zip(indices, _outcomes([jobs[index] for index in indices]), strict=True)
    for index in range(len(jobs)):
        yield outcomes[index]


def rates(job: ScheduleJob) -> list[float]:
    """See `Engine`. Keras' objects are called with the step, TensorFlow 1's functions in eager mode."""
    module, _, name = job.api.rpartition(".")
    if module == "tf.keras.optimizers.schedules":
        schedule = getattr(tf.keras.optimizers.schedules, name)(**job.arguments)
        return [float(schedule(tf.constant(step, tf.int64))) for step in job.wanted]
    function = getattr(tf.compat.v1.train, name)
    counter = "x" if name.startswith("piecewise") else "global_step"
    return [float(function(**{counter: tf.constant(step)}, **job.arguments)()) for step in job.wanted]


def _made(job: Job) -> Trace:
    """Make the optimizer alone."""
    module, _, name = job.api.rpartition(".")
    getattr(tf.compat.v1.train if module == "tf.compat.v1.train" else tf.keras.optimizers, name)(**job.arguments)
    return Trace(np.zeros(0), {}, {})


def _coupled(job: Job) -> bool:
    """Whether the update of an element depends on other elements."""
    return job.api.rpartition(".")[2] in COUPLED or any(job.arguments.get(name) for name in COUPLING)


def _key(job: Job, index: int) -> str:
    """A key that is equal for jobs that may share a program."""
    free, alone = job.gradients is None, index if _coupled(job) else None
    return repr((job.api, sorted(job.arguments.items()), job.dtype, job.steps, free, alone))


def _outcomes(jobs: Sequence[Job]) -> list[Outcome]:
    if not jobs[0].steps:
        return list(each(jobs, _made))
    if jobs[0].groups is not None:
        return [Failure("TensorFlow's optimizers have no parameter groups")] * len(jobs)
    if any(job.scenario.silent for job in jobs):
        return [Failure("missing gradients are not run in TensorFlow")] * len(jobs)
    if jobs[0].scenario.sparse:
        return [Failure("sparse gradients are not run in TensorFlow")] * len(jobs)
    try:
        found = Program(jobs, separate=_coupled(jobs[0])).run()
        return [trace or _outcomes([job])[0] for job, trace in zip(jobs, found, strict=True)]
    except Exception as error:  # constructors and kernels raise errors of any type
        return [Failure(described(error))] * len(jobs)

"""Learning rates step by step, in numpy: one formula for each algorithm, over the tables' canonical hyperparameters.

A formula sees hyperparameters in their canonical measures and a count of steps, so that one of them serves every framework:
what a framework's signature means is read off the tables. Computed in float64; tests hold them to the real frameworks over
whole trainings, to the rounding of those: torch computes in float64, TensorFlow and MindSpore in float32 (a relative 2^-24 an
operation; torch and mindspore.experimental multiply the last rate instead of the first, so that errors add up).

Notation: eta_0 the first rate, t the step, D decay_steps, r decay_rate, eta_e end_learning_rate, p = t/D or floor(t/D).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from optmap.conformance.schedule_jobs import Rates, ScheduleJob
from optmap.mapping.canonical import PACE, Context, canonical_values
from optmap.mapping.load import load_schedules
from optmap.mapping.model import OPTIMIZER, Api, MappingSet
from optmap.mapping.plan import Given
from optmap.mapping.values import Value, literal_value

Array: TypeAlias = npt.NDArray[np.float64]
Settings: TypeAlias = Mapping[str, Any]
Formula: TypeAlias = Callable[[Array, Settings], Array]


class ScheduleError(ValueError):
    """The rates cannot be computed; the message says why."""


def rates(
    tables: MappingSet,
    api: Api,
    arguments: Mapping[str, Any],
    steps: int,
    *,
    learning_rate: float | None = None,
    steps_per_epoch: int = 1,
) -> Array:
    """The learning rate of each of the first steps, shape (steps,), as the schedule's framework computes it.

    Args:
        tables: the tables of schedules.
        api: the schedule.
        arguments: its arguments by name, without the optimizer and the step.
        steps: number of steps of the optimizer.
        learning_rate: the optimizer's own rate, for a schedule that is attached to it.
        steps_per_epoch: steps of the optimizer between two calls of an attached schedule's step().

    Raises ScheduleError for a schedule that has no formula, such as one that looks at a metric.
    """
    settings = _settings(tables, api, arguments, learning_rate, steps_per_epoch)
    formula = FORMULAS.get(api.algorithm)
    if formula is None:
        raise ScheduleError(f"{api.name} has no formula of the step alone")
    count: Array = np.arange(steps, dtype=np.float64)
    pace = settings.get(PACE) or steps_per_epoch
    if api.rule.get("granularity") == "epoch" or "optimizer" in api.by_tie:
        count = np.asarray(np.floor(count / pace) * pace)
    if api.rule.get("after_end") == "climbs":
        settings["climbs"] = True
    settings[PACE] = pace
    with np.errstate(all="ignore"):
        return formula(count, settings)


def local_rates(job: ScheduleJob) -> Rates:
    """What a worker would answer, computed here."""
    tables = load_schedules()
    api = tables.apis[job.api]
    own = job.learning_rate if OPTIMIZER in api.by_tie else None
    try:
        found = rates(tables, api, job.arguments, job.steps, learning_rate=own, steps_per_epoch=job.steps_per_epoch)
    except (ScheduleError, KeyError, TypeError, ValueError) as error:
        return Rates(failure=str(error))
    return Rates(tuple(found.tolist()))


def _settings(
    tables: MappingSet, api: Api, arguments: Mapping[str, Any], learning_rate: float | None, steps_per_epoch: int
) -> dict[str, Any]:
    """The canonical hyperparameters of a call. Functions among the arguments stand for themselves."""
    functions = {name: value for name, value in arguments.items() if callable(value)}
    given = [
        Given(api.by_name[name], Value() if callable(value) else _value(value), index)
        for index, (name, value) in enumerate(arguments.items())
    ]
    known = {PACE: literal_value(steps_per_epoch)}
    if learning_rate is not None:
        known["learning_rate"] = literal_value(learning_rate)
    values = canonical_values(tables, api, given, Context(known))
    found: dict[str, Any] = {name: formula.number for name, formula in values.items() if formula.known}
    found |= {api.by_name[name].ties[0]: function for name, function in functions.items()}
    if learning_rate is not None:
        found.setdefault("learning_rate", learning_rate)
    return found


def _value(value: Any) -> Value:
    return literal_value(tuple(value) if isinstance(value, list) else value)


def _progress(t: Array, s: Settings) -> Array:
    p = t / s["decay_steps"]
    return np.asarray(np.floor(p) if s.get("staircase") else p)


def exponential_decay(t: Array, s: Settings) -> Array:
    """eta_0 r^p (keras.optimizers.schedules.ExponentialDecay; torch's StepLR and ExponentialLR)."""
    return np.asarray(s["learning_rate"] * np.power(float(s["decay_rate"]), _progress(t, s)))


def natural_exp_decay(t: Array, s: Settings) -> Array:
    """eta_0 exp(-r p) (tf.compat.v1.train.natural_exp_decay)."""
    return np.asarray(s["learning_rate"] * np.exp(-s["decay_rate"] * _progress(t, s)))


def inverse_time_decay(t: Array, s: Settings) -> Array:
    """eta_0 / (1 + r p) (keras.optimizers.schedules.InverseTimeDecay)."""
    return np.asarray(s["learning_rate"] / (1 + s["decay_rate"] * _progress(t, s)))


def cosine_decay(t: Array, s: Settings) -> Array:
    """eta_e + (eta_0 - eta_e) (1 + cos(pi min(t, D) / D)) / 2 (Loshchilov and Hutter, arXiv:1608.03983).

    Attached schedules do not hold t at D: they climb back up. Keras can warm up for W steps from eta_0 to a target first, which
    then takes the place of eta_0.
    """
    start, end, length = s["learning_rate"], s["end_learning_rate"], s["decay_steps"]
    target, warm = s.get("warmup_target"), s.get("warmup_steps", 0)
    if target is None:
        held = t if s.get("climbs") else np.minimum(t, length)
        return np.asarray(end + (start - end) * (1 + np.cos(np.pi * held / length)) / 2)
    share = end / start if start else 0.0
    decay = share + (1 - share) * (1 + np.cos(np.pi * np.clip(t - warm, 0, length) / length)) / 2
    return np.where(t < warm, start + (target - start) * t / max(warm, 1), target * decay)


def cosine_restarts(t: Array, s: Settings) -> Array:
    """A cosine from eta_0 m^i to eta_e over D k^i steps, for i = 0, 1, ... (arXiv:1608.03983)."""
    start, end, ratio = s["learning_rate"], s["end_learning_rate"], s["period_factor"]
    found = np.empty_like(t)
    for index, step in enumerate(t):
        left, period, shrink = step, float(s["decay_steps"]), 1.0
        while left >= period:
            left, period, shrink = left - period, period * ratio, shrink * s.get("rate_factor", 1.0)
        found[index] = end + (start - end) * shrink * (1 + np.cos(np.pi * left / period)) / 2
    return found


def polynomial_decay(t: Array, s: Settings) -> Array:
    """(eta_0 - eta_e) (1 - t/D)^power + eta_e; t is held at D, or D grows to the next multiple above t where it cycles."""
    length, end = s["decay_steps"], s["end_learning_rate"]
    grown = length * np.maximum(np.ceil(t / length), 1)
    share = t / grown if s["cycle"] else np.minimum(t, length) / length
    return np.asarray((s["learning_rate"] - end) * (1 - share) ** s["power"] + end)


def piecewise_constant(t: Array, s: Settings) -> Array:
    """The rate whose index is the number of milestones at or before t."""
    places = np.searchsorted(np.asarray(s["milestones"], dtype=np.float64), t, side="right")
    return np.asarray(s["rates"], dtype=np.float64)[places]


def multi_step(t: Array, s: Settings) -> Array:
    """eta_0 r^k, with k the number of milestones at or before t (torch.optim.lr_scheduler.MultiStepLR)."""
    reached = np.searchsorted(np.sort(np.asarray(s["milestones"], dtype=np.float64)), t, side="right")
    return np.asarray(s["learning_rate"] * np.power(float(s["decay_rate"]), reached))


def linear_ramp(t: Array, s: Settings) -> Array:
    """eta_0 (a + (b - a) min(t, D) / D) (torch.optim.lr_scheduler.LinearLR)."""
    start, end = s["start_factor"], s["end_factor"]
    return np.asarray(s["learning_rate"] * (start + (end - start) * np.minimum(t, s["decay_steps"]) / s["decay_steps"]))


def constant_factor(t: Array, s: Settings) -> Array:
    """eta_0 a before D, then eta_0 (torch.optim.lr_scheduler.ConstantLR)."""
    return np.where(t < s["decay_steps"], s["learning_rate"] * s["start_factor"], s["learning_rate"])


def lambda_(t: Array, s: Settings) -> Array:
    """eta_0 f(epoch) (torch.optim.lr_scheduler.LambdaLR)."""
    return np.asarray([s["learning_rate"] * s["function"](int(step // s[PACE])) for step in t])


def multiplicative(t: Array, s: Settings) -> Array:
    """eta_0 f(1) f(2) ... f(epoch) (torch.optim.lr_scheduler.MultiplicativeLR)."""
    epochs = (t // s[PACE]).astype(int)
    factors = [1.0, *(s["function"](epoch) for epoch in range(1, int(epochs.max(initial=0)) + 1))]
    return np.asarray(s["learning_rate"] * np.cumprod(factors)[epochs])


def cyclic(t: Array, s: Settings) -> Array:
    """low + (high - low) h scale, h rising from 0 to 1 and falling back (Smith, arXiv:1506.01186; torch's CyclicLR)."""
    epoch = t / s[PACE]
    up = float(s["steps_up"]) / s[PACE]
    total = up + (up if s["steps_down"] is None else float(s["steps_down"]))
    cycle = np.floor(1 + epoch / total)
    x = 1 + epoch / total - cycle
    height = np.where(x <= up / total, x / (up / total), (x - 1) / (up / total - 1))
    scales = {
        "triangular": np.ones_like(cycle),
        "triangular2": 1 / 2.0 ** (cycle - 1),
        "exp_range": float(s["decay_rate"]) ** epoch,
    }
    high, low = s["max_learning_rate"], s["learning_rate"]
    return np.asarray(low + (high - low) * height * scales[s["mode"]])


def linear_cosine_decay(t: Array, s: Settings) -> Array:
    """eta_0 ((a + 1 - q) (1 + cos(2 pi n q)) / 2 + b), q = min(t, D) / D (Bello et al., arXiv:1709.07417)."""
    if "initial_variance" in s:
        raise ScheduleError("its noise is drawn anew in every run")
    share = np.minimum(t, s["decay_steps"]) / s["decay_steps"]
    wave = (1 + np.cos(2 * np.pi * s["periods"] * share)) / 2
    return np.asarray(s["learning_rate"] * ((s["cosine_floor"] + 1 - share) * wave + s["rate_floor"]))


FORMULAS: Final[dict[str, Formula]] = {
    "exponential_decay": exponential_decay,
    "step_decay": exponential_decay,
    "natural_exp_decay": natural_exp_decay,
    "inverse_time_decay": inverse_time_decay,
    "cosine_decay": cosine_decay,
    "cosine_restarts": cosine_restarts,
    "polynomial_decay": polynomial_decay,
    "piecewise_constant": piecewise_constant,
    "multi_step": multi_step,
    "linear_ramp": linear_ramp,
    "constant_factor": constant_factor,
    "lambda": lambda_,
    "multiplicative": multiplicative,
    "cyclic": cyclic,
    "linear_cosine_decay": linear_cosine_decay,
}

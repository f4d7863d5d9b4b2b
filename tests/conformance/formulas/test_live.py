"""The formulas against the real torch and TensorFlow, and against MindSpore's rules, for random hyperparameters.

Each class of the tables that can run is called with all its hyperparameters drawn at random; the formula, with what the tables
state of that very call, is given the same gradients. `rules` are held to the real MindSpore bit by bit in `tests/conformance/rules`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

from optmap.conformance.calls import Call, completed
from optmap.conformance.catalog import catalog
from optmap.conformance.compare import compare
from optmap.conformance.explain import stated
from optmap.conformance.formulas import FORMULAS
from optmap.conformance.replay import COMMON, replayed
from optmap.conformance.results import Level
from optmap.conformance.scenario import Failure, Job, Trace
from optmap.mapping.load import load
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Accepts

from ..frameworks import session

STEPS: Final = 12
CALLS: Final = {"torch": 12, "tensorflow": 1, "mindspore": 12}
SCENARIOS: Final = [catalog(5)[name] for name in ("norm-scale", "small-gradients", "rate-drop")]

DRAWS: Final[dict[str, tuple[float, float]]] = {
    "learning_rate": (1e-3, 0.05), "beta1": (0.1, 0.95), "beta2": (0.3, 0.999), "rho": (0.1, 0.99), "momentum": (0.1, 0.95),
    "dampening": (0.0, 0.5), "epsilon": (1e-8, 1e-2), "l2": (0.0, 0.1), "decoupled_decay": (0.0, 0.3),
    "initial_accumulator": (0.01, 0.5), "lr_decay": (0.0, 0.1), "momentum_decay": (1e-3, 0.1), "loss_scale": (0.5, 8.0),
    "l1": (0.0, 0.01), "l2_proximal": (0.0, 0.1), "l2_shrinkage": (0.0, 0.1), "ftrl_beta": (0.0, 0.5),
    "learning_rate_power": (-0.7, -0.3), "decay_term": (1e-4, 0.1), "rate_power": (0.3, 0.9), "averaging_start": (1.0, 20.0),
    "eta_minus": (0.2, 0.8), "eta_plus": (1.1, 1.5), "smallest_step": (1e-6, 1e-4), "largest_step": (0.1, 10.0),
    "beta2_exponent": (-0.9, -0.5), "beta2_rate": (0.5, 0.9), "scale_epsilon": (1e-4, 1e-2), "update_clipping": (1.0, 2.0),
    "update_momentum": (0.1, 0.9), "scaled_decay": (0.0, 0.1), "square_epsilon": (1e-30, 1e-20), "variance_floor": (1e-16, 1e-9),
}  # fmt: skip


def runnable() -> list[Api]:
    return [
        api for api in load().apis.values()
        if api.not_run is None and api.algorithm in FORMULAS and api.framework in CALLS and not api.module.until
        and "lazy" not in api.fixed and api.exists
    ]  # fmt: skip


def drawn(api: Api, random: np.random.Generator) -> Call:
    """A call with everything that the formula knows away from its default."""
    given: dict[str, Any] = {}
    for parameter in api.current:
        if parameter.switches:
            given[parameter.name] = bool(random.random() < 0.5)
        if not parameter.ties or parameter.is_parameters:
            continue
        if not set(parameter.ties) <= {*COMMON, *FORMULAS[api.algorithm].takes} or parameter.ties == ("lazy",):
            continue
        values = tuple(value(parameter.default, tie, parameter.accepts, random) for tie in parameter.ties)
        given[parameter.name] = values if len(values) > 1 else values[0]
    return Call(api, completed(load(), api, consistent(given)))


def value(default: Any, tie: str, accepts: Accepts, random: np.random.Generator) -> Any:
    if accepts is Accepts.BOOL or isinstance(default, bool):
        return bool(random.random() < 0.5)
    low, high = DRAWS[tie]
    logarithmic = 0 < low < high / 50
    return float(np.exp(random.uniform(np.log(low), np.log(high))) if logarithmic else random.uniform(low, high))


def consistent(given: dict[str, Any]) -> dict[str, Any]:
    """The same without combinations that constructors reject."""
    if given.get("nesterov") and "dampening" in given:
        given["dampening"] = 0.0
    if given.get("relative_step"):
        given["learning_rate"] = None
    elif "warmup_init" in given:
        given["warmup_init"] = False
    if given.get("use_lazy") or given.get("use_offload"):
        given["use_amsgrad"] = False
    if given.get("use_amsgrad"):
        given["use_nesterov"] = False  # MindSpore's kernel ignores it then; no other framework has it
    return given


def gap(engine: str, call: Call, dtype: str) -> tuple[Level, int]:
    """The worst level and distance in units in the last place, over the scenarios."""
    rule = stated(load(), call)
    assert rule is not None
    assert not rule.unknown
    carrier, rate = call.api.by_tie["learning_rate"].name, rule.values["learning_rate"]
    scenarios = [item for item in SCENARIOS if rate is not None and not (item.rate_factors and "FTRL" in call.api.name)]
    jobs = [
        Job(call.api.name, dict(call.given), item, STEPS, dtype, rate_argument=carrier, rates=item.rates(rate, STEPS))
        for item in scenarios or SCENARIOS[:2]
    ]
    worst, units = Level.IDENTICAL, 0
    for job, outcome in zip(jobs, session(engine).run(jobs), strict=True):
        assert not isinstance(outcome, Failure), f"{call.given}: {outcome}"
        assert isinstance(outcome, Trace)
        ours = replayed(rule, job.scenario, outcome.gradients, STEPS, dtype)
        found = compare(outcome, ours, job.scenario.start, dtype)
        worst = max(worst, found.level, key=lambda level: level.rank)
        units = max(units, 10**9 if found.max_ulp is None else found.max_ulp)
    return worst, units


@pytest.mark.parametrize("api", runnable(), ids=lambda api: api.name)
def test_a_formula_is_what_the_framework_computes(api: Api, record_property: Callable[[str, object], None]) -> None:
    random = np.random.default_rng(zlib.crc32(api.name.encode()))
    calls = [drawn(api, random) for _ in range(CALLS[api.framework])]
    for call in calls:
        level, _ = gap(api.framework, call, "float64")
        assert level.rank <= Level.EQUIVALENT.rank, f"{call.given}: {level} in float64"
    level, units = gap(api.framework, calls[0], "float32")
    assert level.rank <= Level.EQUIVALENT.rank, f"{calls[0].given}: {level} in float32"
    record_property("ulp", units)

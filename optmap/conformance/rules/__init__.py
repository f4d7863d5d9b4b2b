"""MindSpore's update rules in numpy: one module per family, and a registry by full API name.

Every rule was compared with MindSpore 2.10.0 on CPU with one kernel thread; the traces are in `tests/conformance/goldens`.
"""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches

import numpy as np

from optmap.conformance.rules.adafactor import AdaFactor
from optmap.conformance.rules.adagrad import Adagrad, ExperimentalAdagrad, ProximalAdagrad
from optmap.conformance.rules.adam import Adam, AdamOffload, ExperimentalAdam, LazyAdam
from optmap.conformance.rules.adam_relatives import (
    AdaMax,
    AdamWeightDecay,
    ExperimentalAdamax,
    ExperimentalAdamW,
    NAdam,
    RAdam,
)
from optmap.conformance.rules.asgd import ASGD, ExperimentalASGD
from optmap.conformance.rules.ftrl import FTRL
from optmap.conformance.rules.rmsprop import Adadelta, ExperimentalAdadelta, ExperimentalRMSprop, RMSProp
from optmap.conformance.rules.rprop import ExperimentalRprop, Rprop
from optmap.conformance.rules.rule import Rule, SparseRows
from optmap.conformance.rules.sgd import SGD, ExperimentalSGD, Momentum

__all__ = ["RULES", "Rule", "SparseRows", "build"]

_NN = (
    ASGD, AdaFactor, AdaMax, Adadelta, Adagrad, Adam, AdamOffload, AdamWeightDecay, FTRL, LazyAdam, Momentum, ProximalAdagrad,
    RMSProp, Rprop, SGD,
)  # fmt: skip
_EXPERIMENTAL = (
    ExperimentalASGD, ExperimentalAdadelta, ExperimentalAdagrad, ExperimentalAdam, ExperimentalAdamW, ExperimentalAdamax, NAdam,
    RAdam, ExperimentalRMSprop, ExperimentalRprop, ExperimentalSGD,
)  # fmt: skip

RULES: dict[str, type[Rule]] = {
    **{f"mindspore.nn.{rule.__name__}": rule for rule in _NN},
    **{f"mindspore.experimental.optim.{rule.__name__.removeprefix('Experimental')}": rule for rule in _EXPERIMENTAL},
}
"""The rules by the full names of their classes."""


def build(api: str, hyperparameters: Mapping[str, object]) -> Rule:
    """The rule of an API with the given hyperparameters; omitted ones have the API's defaults.

    Raises:
        ValueError: the API has no rule, or a hyperparameter is unknown, missing, or has a value that MindSpore rejects.
    """
    if api not in RULES:
        raise ValueError(f"no rule for {api!r}{_nearest(api, list(RULES))}")
    rule = RULES[api]
    fields = rule.hyperparameters()
    for name in hyperparameters:
        if name not in fields:
            raise ValueError(f"{api} has no hyperparameter {name!r}{_nearest(name, list(fields))}")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in hyperparameters:
            raise ValueError(f"{api} needs the hyperparameter {name!r}")
    plain = {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in hyperparameters.items()
    }
    try:
        return rule(**plain)
    except ValueError as error:
        raise ValueError(f"{api}: {error}") from None


def _nearest(name: str, known: list[str]) -> str:
    """The end of an error message: the known names closest to an unknown one."""
    close = get_close_matches(name, known, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else f"; known are {', '.join(sorted(known))}"

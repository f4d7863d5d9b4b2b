"""What the tables call neutral does nothing: a formula gives the same, to the last bit, as if the hyperparameter were not there."""

from __future__ import annotations

import numpy as np
import pytest

from optmap.conformance.calls import default_call
from optmap.conformance.catalog import catalog
from optmap.conformance.explain import stated
from optmap.conformance.formulas import FORMULAS
from optmap.conformance.replay import COMMON, replayed
from optmap.conformance.scenario import Array, Rows
from optmap.mapping.load import load
from optmap.mapping.sections import Api

SCENARIOS = [catalog()[name] for name in ("norm-scale", "sparse-embedding")]
STEPS = 4


def classes() -> list[Api]:
    """One class of each algorithm."""
    found = {api.algorithm: api for api in load().apis.values() if api.algorithm in FORMULAS and api.exists}
    return list(found.values())


@pytest.mark.parametrize("api", classes(), ids=lambda api: api.algorithm)
def test_neutral_values_change_nothing(api: Api) -> None:
    tables = load()
    rule = stated(tables, default_call(tables, api))
    assert rule is not None
    random = np.random.default_rng(0)
    for name in (*COMMON, *FORMULAS[api.algorithm].takes):
        hyperparameter = tables.hyperparameters.get(name)
        if hyperparameter is None or not hyperparameter.has_neutral:
            continue
        without = {key: value for key, value in rule.values.items() if key != name} | {"learning_rate": 0.01}
        for scenario in SCENARIOS:
            start = scenario.start
            gradients: dict[str, Array | Rows] = {
                key: random.standard_normal((STEPS, *value.shape)) for key, value in start.items()
            }
            if scenario.sparse:
                rows = np.stack([scenario.inputs[step] for step in range(STEPS)])
                gradients = {"embedding": Rows(rows, random.standard_normal((*rows.shape, 3)))}
            runs = [
                replayed(rule._replace(values=values), scenario, gradients, STEPS).parameters
                for values in (without, *({**without, name: value} for value in
                                          (hyperparameter.neutral, *hyperparameter.also_neutral)))
            ]  # fmt: skip
            for run in runs[1:]:
                assert all(np.allclose(run[key], runs[0][key], rtol=1e-12, atol=0) for key in start), name

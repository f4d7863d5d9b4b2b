"""Arguments that the tables call execution alone are flipped, and what does change something is found."""

from __future__ import annotations

import pytest

from optmap.conformance.api import check
from optmap.conformance.execution import changes, flips, run_flips, schedule_flips
from optmap.conformance.results import Level
from optmap.mapping.load import load, load_schedules
from optmap.mapping.sections import Api

from .frameworks import session


def relabelled(api: Api, name: str) -> Api:
    """The section with one parameter that affects execution alone, and no other."""
    rows = (row._replace(ties=(), switches={}, execution=True) if row.name == name else row for row in api.parameters)
    return api._replace(
        parameters=tuple(row for row in rows if row.name == name or not row.execution), rule={}, rule_when={}
    )


WRONG = [
    ("torch.optim.Adam", "maximize"), ("torch.optim.Adam", "amsgrad"), ("torch.optim.Adam", "decoupled_weight_decay"),
    ("torch.optim.SGD", "nesterov"), ("torch.optim.SGD", "dampening"), ("torch.optim.RMSprop", "centered"),
    ("mindspore.nn.Adam", "loss_scale"), ("mindspore.nn.SGD", "nesterov"), ("tf.keras.optimizers.Adam", "clipnorm"),
    ("tf.keras.optimizers.SGD", "nesterov"), ("tf.keras.optimizers.Adam", "amsgrad"),
    ("tf.keras.optimizers.SGD", "gradient_accumulation_steps"), ("torch.optim.lr_scheduler.CyclicLR", "cycle_momentum"),
    ("torch.optim.lr_scheduler.StepLR", "gamma"), ("torch.optim.lr_scheduler.CyclicLR", "mode"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "argument"), WRONG)
def test_an_argument_that_changes_numbers_is_no_matter_of_execution(name: str, argument: str) -> None:
    tables = load_schedules() if "scheduler" in name else load()
    api = relabelled(tables.apis[name], argument)
    flipped = schedule_flips(tables, [api]) if "scheduler" in name else flips(tables, [api])
    found = run_flips(flipped, {api.framework: session(api.framework)})
    assert found
    assert not found[0].passes
    assert found[0].reason is not None
    assert found[0].reason.startswith(f"{argument} affects execution alone by the tables (mappings/")


ROUNDED = {("torch.optim.ASGD", "foreach"), ("torch.optim.Adafactor", "foreach")}
"""These round in another order."""


@pytest.mark.parametrize("engine", ["torch", "tensorflow", "mindspore"])
def test_execution_arguments_change_no_bit(engine: str) -> None:
    found = changes(flips(load(), [api for api in load().apis.values() if api.framework == engine]), session(engine))
    ran = [item for item in found if item.gap is not None]
    assert ran
    names = {
        (item.flip.api.name, item.flip.parameter.name)
        for item in ran
        if item.gap and item.gap.level is not Level.IDENTICAL
    }
    assert names <= ROUNDED


@pytest.mark.usefixtures("shared_workers")
def test_the_check_of_everything_flips_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    tables = load()
    api = relabelled(tables.apis["torch.optim.Rprop"], "maximize")
    monkeypatch.setattr("optmap.conformance.api.flips", lambda tables, apis: flips(tables, [api]))
    report = check(["torch.optim.Rprop"], everything=True, to="mindspore", steps=3)
    assert {(item.pair.source, item.pair.row) for item in report.results if not item.passes} == {(api.name, "maximize")}

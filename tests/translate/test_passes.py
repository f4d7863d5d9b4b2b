"""What stands and falls together, what a failed proof costs, and that time grows no faster than files do."""

from __future__ import annotations

import ast
import gc
from functools import partial
from typing import Any

import pytest

from benchmarks.make_tree import script
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.changes import Replace
from optmap.source.proof import VerificationError, verify
from optmap.source.templates import CallTemplate
from optmap.translate import pipeline
from optmap.translate.options import Options
from optmap.translate.passes import PASSES
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.translate.steps.test_rewrite import PAGE
from tests.translate.work import work

TO_MINDSPORE = Options(Framework("mindspore"), frozenset({Framework("torch")}))
TO_TORCH = Options(Framework("torch"), frozenset({Framework("tensorflow")}))


def calls(number: int) -> str:
    return "import torch\n" + "".join(
        f"opt{i} = torch.optim.Adam(net{i}.parameters(), lr=1e-3, foreach=True)\n" for i in range(number)
    )


def schedulers(number: int) -> str:
    return "import torch\n" + "".join(
        f"opt{i} = torch.optim.Adam(net{i}.parameters(), lr=1e-3)\n"
        f"scheduler{i} = torch.optim.lr_scheduler.StepLR(opt{i}, step_size=30)\n"
        for i in range(number)
    )


def groups(number: int) -> str:
    return "import torch\n" + "".join(
        f"groups{i} = [{{'params': net{i}.parameters(), 'lr': 0.1}}]\nopt{i} = torch.optim.Adam(groups{i})\n"
        for i in range(number)
    )


def statuses(result: FileResult) -> list[str]:
    return [call.status.value for call in result.calls]


def test_the_order_of_the_passes() -> None:
    assert [each.name for each in PASSES] == [
        "wrappers", "schedules", "constructors", "surroundings", "steps", "frontier", "imports",
    ]  # fmt: skip


def failing_at(line: int, counted: list[int]) -> Any:
    """A proof that fails while the call on a line is changed, and says so of its statement."""

    def fails(source, body, changes, edits):  # type: ignore[no-untyped-def]
        calls = [item for item in changes if isinstance(item, Replace) and isinstance(item.template, CallTemplate)]
        counted.append(len(calls))
        guilty = [item for item in calls if item.node.lineno == line]  # type: ignore[union-attr]
        if guilty:
            raise VerificationError("a test says so", guilty)
        verify(source, body, changes, edits)

    return fails


def test_a_call_that_cannot_be_proved_is_left_alone_and_no_other(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(pipeline, "verify", failing_at(5, counted))
    result = translate_bytes(calls(20).encode(), tables, TO_MINDSPORE)
    assert statuses(result) == ["translated"] * 3 + ["refused"] + ["translated"] * 16
    assert [(item.line, item.code.id) for item in result.diagnostics if item.code.id == "OM004"] == [(5, "OM004")]
    assert b"opt3 = torch.optim.Adam(net3.parameters(), lr=1e-3, foreach=True)\n" in result.output
    assert counted == [20, 19], "the whole is proved twice, however many calls there are"


def test_a_schedule_falls_with_a_call_that_cannot_be_proved(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "verify", failing_at(2, []))
    text = schedulers(2)
    result = translate_bytes(text.encode(), tables, TO_MINDSPORE)
    kept = b"".join(line.encode() for line in text.splitlines(keepends=True)[1:3])
    assert kept in result.output
    assert result.output.count(b"mindspore.experimental.optim.lr_scheduler.StepLR(opt1, ") == 1


def test_where_the_place_is_not_known_every_call_is_left_alone(
    tables: MappingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> None:
        raise VerificationError("a test says so")

    monkeypatch.setattr(pipeline, "verify", fails)
    result = translate_bytes(calls(3).encode(), tables, TO_MINDSPORE)
    assert not result.changed
    assert statuses(result) == ["refused"] * 3
    assert [item.code.id for item in result.diagnostics] == ["OM004"] * 3


def test_a_schedule_and_every_optimizer_that_it_is_passed_to(tables: MappingSet) -> None:
    """One of them cannot be translated, so that none is: each says why in its own words."""
    text = (
        "import tensorflow as tf\n"
        "model = tf.keras.Sequential()\n"
        "rate = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)\n"
        "first = tf.keras.optimizers.SGD(rate)\n"
        "first.apply_gradients(zip(grads, model.trainable_variables))\n"
        "second = tf.keras.optimizers.Ftrl(rate)\n"
        "second.apply_gradients(zip(grads, model.trainable_variables))\n"
    )
    result = translate_bytes(text.encode(), tables, TO_TORCH)
    assert not result.changed
    messages = {item.line: item.message for item in result.diagnostics if item.severity.value == "error"}
    assert "it is also the learning rate of the call on line 6, which is not translated" in messages[4]
    assert "no counterpart" in messages[6]


@pytest.mark.parametrize("program", [calls, schedulers, groups])
def test_time_grows_linearly(program: Any, tables: MappingSet) -> None:
    """Twice the calls take twice the work, counted in calls of functions."""
    translate_bytes(program(5).encode(), tables, TO_MINDSPORE)
    small, large = (
        work(partial(translate_bytes, program(number).encode(), tables, TO_MINDSPORE)) for number in (40, 80)
    )
    assert large < 2.2 * small


@pytest.mark.parametrize("rewrite_step", [False, True])
@pytest.mark.parametrize("prove", [False, True])
def test_a_file_leaves_no_tree_behind(tables: MappingSet, rewrite_step: bool, prove: bool) -> None:
    """Without cycles: the command line runs without the collector of cycles, and trees are large."""

    def trees() -> int:
        return sum(type(item) is ast.Module for item in gc.get_objects())  # isinstance asks dead proxies

    options = TO_MINDSPORE._replace(rewrite_step=rewrite_step, prove=prove)
    grouped = "optim.Adam([{'params': net.a.parameters()}, {'params': net.b.parameters(), 'lr': 0.1}], lr=0.2)\n"
    pages = [PAGE.encode() + b"\nother = " + grouped.encode() + schedulers(2).encode(), script(0).encode()]
    assert all(translate_bytes(page, tables, options).changed or not prove for page in pages)
    gc.collect()
    gc.disable()
    try:
        before = trees()
        for page in pages:
            translate_bytes(page, tables, options)
        assert trees() == before
    finally:
        gc.enable()

"""Twice the schedules of a file take twice the work of the pass, whatever they share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.text import read_source
from optmap.translate.options import Options
from optmap.translate.pipeline import unit_of
from optmap.translate.schedules.run import run
from optmap.translate.unit import Outcome, Unit
from tests.translate.work import work

START = "import torch\nimport tensorflow as tf\nfrom torch.optim import lr_scheduler\n"


def stepped(number: int) -> str:
    """Steps of all optimizers, then those of all schedules, in one loop."""
    made = (
        f"opt{i} = torch.optim.SGD(net.parameters(), lr=rate)\ns{i} = lr_scheduler.StepLR(opt{i}, epochs)\n"
        for i in range(number)
    )
    names = [f"{letter}{i}" for letter in ("opt", "s") for i in range(number)]
    return "".join(made) + "for x in loader:\n" + "".join(f"    {name}.step()\n" for name in names)


def shared(number: int) -> str:
    """Many schedules of one optimizer."""
    made = "".join(f"s{i} = lr_scheduler.StepLR(opt, 30)\n" for i in range(number))
    return f"opt = torch.optim.SGD(net.parameters(), lr=0.1)\n{made}"


def rebound(number: int) -> str:
    """One name for all optimizers, and one for all schedules."""
    return "opt = torch.optim.SGD(net.parameters(), lr=0.1)\ns = lr_scheduler.StepLR(opt, 30)\ns.step()\n" * number


def passed(number: int) -> str:
    """Schedules that are passed, under names of their own."""
    return "".join(
        f"rate{i} = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)\n"
        f"opt{i} = tf.keras.optimizers.SGD(rate{i})\nopt{i}.minimize(loss)\n"
        for i in range(number)
    )


def counted(number: int) -> str:
    """TensorFlow 1: every schedule and every step has the same counter."""
    return "step = tf.compat.v1.train.get_or_create_global_step()\n" + "".join(
        f"rate{i} = tf.compat.v1.train.exponential_decay(0.1, step, 50, 0.9)\n"
        f"opt{i} = tf.compat.v1.train.AdamOptimizer(rate{i})\nopt{i}.minimize(loss, global_step=step)\n"
        for i in range(number)
    )


def unit(text: str, name: str, tables: MappingSet) -> Unit:
    target = Framework(name)
    options = Options(target, frozenset(Framework) - {target}, params="p")
    return unit_of(read_source((START + text).encode()), tables, options)


@pytest.mark.parametrize(("program", "target"), [
    (stepped, "tensorflow"), (stepped, "mindspore"), (shared, "mindspore"), (rebound, "tensorflow"), (passed, "torch"),
    (passed, "mindspore"), (counted, "mindspore"),
])  # fmt: skip
def test_work_grows_linearly(program: Callable[[int], str], target: str, tables: MappingSet) -> None:
    units = [unit(program(number), target, tables) for number in (5, 40, 80)]
    found = [work(partial(run, each, Outcome({}, each.sites.mentions, each.sites.constructing))) for each in units]
    assert found[2] < 2.2 * found[1]

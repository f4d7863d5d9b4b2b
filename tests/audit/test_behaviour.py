"""Wrong sections are caught by what the installed classes do: accepted values, and the formulas of schedules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import pytest

from optmap.audit.rates import wrong_rates
from optmap.audit.results import DifferenceKind
from optmap.audit.values import wrong_values
from optmap.conformance.pool import Session
from optmap.mapping.load import SCHEDULES, load, load_files, load_schedules
from optmap.mapping.stored import own_files

ENGINES = {"torch": "torch", "tf": "tensorflow", "mindspore": "mindspore-real"}


class Wrong(NamedTuple):
    """What is written into a section in place of what, and the kind of difference that it makes."""

    api: str
    old: str
    new: str
    kind: DifferenceKind = DifferenceKind.RATE


X, N = "mindspore.experimental.optim.lr_scheduler.", "mindspore.nn."
WRONG = (
    Wrong("torch.optim.lr_scheduler.MultiStepLR", "times: steps_per_epoch, ", ""),
    Wrong("torch.optim.lr_scheduler.CyclicLR", "is: steps_up, times: steps_per_epoch", "is: steps_up"),
    Wrong("torch.optim.lr_scheduler.LinearLR", 'range: "(0, 1]"', 'range: "[0, 1]"', DifferenceKind.VALUE),
    Wrong("torch.optim.Adam", 'default: 1e-8, range: "[0', 'default: 1e-8, range: "(0', DifferenceKind.VALUE),
    Wrong("torch.optim.AdamW", 'range: "[0, 1)"', 'range: "[0, 1]"', DifferenceKind.VALUE),
    Wrong("tf.keras.optimizers.schedules.CosineDecay", "times: learning_rate, ", ""),
    Wrong("tf.keras.optimizers.schedules.PiecewiseConstantDecay", "plus: 1, ", ""),
    Wrong("tf.keras.optimizers.schedules.ExponentialDecay", ', range: "(0, inf)"', ', range: "[1, inf)"', DifferenceKind.VALUE),
    Wrong("tf.compat.v1.train.exponential_decay", 'range: "(0, inf)"', 'range: "[0, inf)"', DifferenceKind.VALUE),
    Wrong(X + "StepLR", "staircase: true", "staircase: false, learning_rate: 0.2"),
    Wrong(X + "LinearLR", "is: decay_steps, times: steps_per_epoch", "is: decay_steps"),
    Wrong(X + "CosineAnnealingLR", "after_end: climbs", "after_end: holds"),
    Wrong(N + "NaturalExpDecayLR", "times: decay_steps, ", ""),
    Wrong(N + "exponential_decay_lr", "granularity: epoch", "granularity: step"),
    Wrong(N + "warmup_lr", "granularity: epoch", "granularity: step"),
    Wrong(N + "ExponentialDecayLR", 'range: "(0, inf)"', 'range: "[0, inf)"', DifferenceKind.VALUE),
    Wrong(N + "polynomial_decay_lr", 'range: "[1, inf)"', 'range: "[0, inf)"', DifferenceKind.VALUE),
)  # fmt: skip


@cache
def session(engine: str) -> Session:
    return Session(engine)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    for engine in ENGINES.values():
        session(engine).close()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda item: f"{item.api}-{item.old}")
def test_a_wrong_section_is_caught(wrong: Wrong) -> None:
    engine = ENGINES[wrong.api.partition(".")[0]]
    if find_spec(engine.partition("-")[0]) is None:
        pytest.skip(f"{engine} is not installed")
    tables, schedules = load(), load_schedules()
    scheduled = wrong.api in schedules.apis
    files = []
    for name, content in own_files(*([SCHEDULES] if scheduled else [])):
        head, mark, rest = content.decode().partition(f"\n  {wrong.api}:\n")
        section, gap, others = rest.partition("\n\n")
        assert not mark or wrong.old in section
        files.append((name, (head + mark + section.replace(wrong.old, wrong.new, 1) + gap + others).encode()))
    changed = load_files(files, own_modules=not scheduled)
    tables, schedules = (tables, changed) if scheduled else (changed, schedules)
    api, running = changed.apis[wrong.api], session(engine)
    found = [*wrong_values(tables, schedules, [api], running), *wrong_rates(schedules, [api], running)]
    assert wrong.kind in {item.kind for item in found}, found

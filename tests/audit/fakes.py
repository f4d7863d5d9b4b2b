"""A small table, a framework made up to fit it, and what becomes of the audit where one of the two is changed."""

from __future__ import annotations

import io
import sys
import types
from typing import Any

import pytest

from optmap.audit.compare import differences
from optmap.audit.live import inspect_modules
from optmap.audit.results import WIRED, Difference, Live
from optmap.audit.run import request_for
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_files
from optmap.mapping.model import MappingSet
from optmap.wire import read_frame, write_frame

TABLE = """\
algorithm: one
title: One
modules:
  torch.optim:
    framework: torch
    paths: [torch.optim]
    exclusive: true
    others: [Optimizer, helper]
    schedules: [lr_scheduler]
  torch.mixed:
    framework: torch
    paths: [torch.mixed]
    others: [Optimizer]
hyperparameters:
  learning_rate: {about: step size}
  momentum: {about: momentum, neutral: 0.0}
  nesterov: {about: nesterov, neutral: false}
apis:
  torch.optim.One:
    verified: "1.5.0"
    extra_keywords: true
    parameters:
      - {name: params, is: parameters}
      - {name: lr, is: learning_rate, default: 0.1}
      - {name: momentum, is: momentum, default: 0.0}
      - {name: eps, affects: execution, default: [1e-30, 0.001]}
      - {name: hook, affects: execution, default: "lambda x:x"}
      - {name: nesterov, is: nesterov, default: false, keyword_only: true}
      - {name: decay, affects: execution, default: null, keyword_only: true}
      - {name: old, affects: execution, default: 1, keyword_only: true, until: "1.2"}
  torch.mixed.Two:
    verified: "1.5.0"
    parameters:
      - {name: params, is: parameters}
      - {name: lr, is: learning_rate, default: 1}
"""

ONE = """\
class One(Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.0, eps=(1e-30, 0.001), hook=lambda x: x, *, nesterov=False, **kwargs):
        super().__init__(params, **kwargs)
"""
TWO = """\
class Two(Optimizer):
    def __init__(self, params, lr=1): ...
"""
OPTIM = (
    """\
class Optimizer:
    def __init__(self, params, **kwargs):
        kwargs.pop("decay", None)
        if kwargs:
            raise TypeError(kwargs)
def helper(optimizer): ...
"""
    + ONE
)
MIXED = (
    """\
from torch.optim import Optimizer
class Layer:
    def __init__(self, size): ...
def schedule(learning_rate): ...
"""
    + TWO
)


def tables(text: str = TABLE) -> MappingSet:
    return load_files([("fake.yaml", text.encode())])


def line_of(part: str, text: str = TABLE) -> int:
    """The line of a row, or the first line below the name of a module or an API, which is their reported position."""
    return part.endswith(":") + next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def audited(
    monkeypatch: pytest.MonkeyPatch, optim: str = OPTIM, mixed: str = MIXED, table: str = TABLE
) -> list[Difference]:
    """Create the framework in this process, inspect it as a worker does, and compare."""
    import linecache

    package = types.ModuleType("torch")
    package.__version__ = "1.5.0+cpu"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", package)
    for name, source in (("torch.optim", optim), ("torch.mixed", mixed)):
        made = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        file = f"<{name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), vars(made))
        setattr(package, name.partition(".")[2], made)
    loaded = tables(table)
    request = request_for(loaded, Framework("torch"))
    live = Live("1.5.0", sent(inspect_modules(sent(request))))
    return list(differences(loaded, Framework("torch"), live))


def sent(value: Any) -> Any:
    """The value as it arrives on the other side of a worker's pipe."""
    stream = io.BytesIO()
    write_frame(stream, value, WIRED)
    stream.seek(0)
    return read_frame(stream, WIRED)

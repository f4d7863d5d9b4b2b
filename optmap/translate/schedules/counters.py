"""TensorFlow 1 counts steps in a variable of the file: are they the steps of a schedule's optimizer, from the first one on?"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from optmap.mapping.values import read_value
from optmap.source.model import Module, Variable
from optmap.source.syntax import called
from optmap.translate.discover.sites import CallSite
from optmap.values import NamedTuple

_STEPS: Final = ("apply_gradients", "minimize")
_GLOBAL: Final = ("get_global_step", "get_or_create_global_step", "create_global_step")
_SETS: Final = ("assign", "assign_add", "assign_sub", "load", "count_up_to", "scatter_update")
_READS: Final = ("run", "eval", "print", "int", "float", "str", "save", "scalar", "global_step", "numpy", "value", "read_value",
                 "identity", "cast", "add_summary", "write", "format", "info", "mod", "equal", "len", "restore")  # fmt: skip
"""Functions that leave a counter as it is."""


class Miscount(NamedTuple):
    """Why a counter may not be the number of an optimizer's steps: a clause, and whether it surely is not."""

    reason: str
    wrong: bool = True


class Counters:
    """Answers the question for the steps of one file's optimizers, given by the ids of their constructor calls."""

    def __init__(self, module: Module, optimizers: dict[int, CallSite]) -> None:
        self.module = module
        self.optimizers = optimizers
        self._reasons: dict[Variable | str, str | None] = {}

    @cached_property
    def steps(self) -> Sequence[ast.Call]:
        """The calls of methods that make a step."""
        found = []
        for node in (node for name in _STEPS for node in self.module.attributes(name)):
            call = self.module.call_of(node)
            found += [call] if call is not None else []
        return found

    @cached_property
    def _of(self) -> dict[int, list[ast.Call]]:
        """The steps of each optimizer, by the id of its constructor call."""
        found: dict[int, list[ast.Call]] = {}
        for call in self.steps:
            assert isinstance(call.func, ast.Attribute)
            for value in self.module.reaching(call.func.value).values:
                found.setdefault(id(value), []).append(call)
        return found

    @cached_property
    def _counting(self) -> dict[Variable | str, list[ast.Call]]:
        """The steps that count in each counter."""
        found: dict[Variable | str, list[ast.Call]] = {}
        for call in self.steps:
            given = _given(call)
            known = self._known(given) if given is not None else None
            if known is not None:
                found.setdefault(known, []).append(call)
        return found

    def lines(self, optimizer: CallSite) -> list[int]:
        """The lines on which an optimizer makes a step of its source framework, in order."""
        return sorted({call.lineno for call in self._of.get(id(optimizer.node), ())})

    def miscounted(self, counter: ast.expr, optimizers: Sequence[CallSite]) -> Miscount | None:
        """Say why a counter may not be the number of steps that the optimizers have made; None where it is."""
        text, known = ast.unparse(counter), self._known(counter)
        unshown = f"the file does not show that {text} counts the optimizer's steps (minimize(..., global_step={text}))"
        counting = self._counting.get(known, ()) if known is not None else ()
        if known is None or not counting:
            return Miscount(unshown, wrong=False)
        if len(optimizers) != 1:
            return Miscount(f"{text} is one counter for several optimizers")
        own = self._of.get(id(optimizers[0].node), ())
        mine = set(map(id, own))
        others = (call for call in counting if id(call) not in mine)
        other = next((call for call in others if not any(self._exclusive(call, each) for each in own)), None)
        if other is not None:
            return Miscount(f"the step on line {other.lineno} counts in {text}, too")
        uncounted = next((call for call in own if (given := _given(call)) is None or self._known(given) != known), None)
        if uncounted is not None:
            return Miscount(f"the step on line {uncounted.lineno} does not count in {text}")
        if known not in self._reasons:
            self._reasons[known] = self._start(counter, text) or self._changed(counter, text)
        reason = self._reasons[known]
        return Miscount(reason) if reason is not None else None

    def _exclusive(self, one: ast.AST, other: ast.AST) -> bool:
        """Tell whether two places stand in different branches of one `if`."""
        arms = ({id(item): item for item in (node, *self.module.ancestors(node))} for node in (one, other))
        first, second = arms
        for node in first.values():
            if isinstance(node, ast.If) and id(node) in second:
                inside = [
                    [any(id(item) in arm for item in body) for body in (node.body, node.orelse)]
                    for arm in (first, second)
                ]
                return inside[0] == inside[1][::-1] and any(inside[0])
        return False

    def _known(self, node: ast.expr) -> Variable | str | None:
        """What a counter is known by: its variable, or the file's one global step."""
        variable = self.module.variable(node)
        values = [item.value for item in variable.bindings] if variable is not None else [node]
        if values and all(isinstance(item, ast.Call) and called(item) in _GLOBAL for item in values):
            return _GLOBAL[0]
        return variable

    def _start(self, counter: ast.expr, text: str) -> str | None:
        """Say that a counter does not start at zero; None where it does."""
        variable = self.module.variable(counter)
        if self._known(counter) == _GLOBAL[0]:
            return None
        bindings = variable.bindings if variable is not None else ()
        value = bindings[0].value if len(bindings) == 1 else None
        if not isinstance(value, ast.Call) or called(value) not in ("Variable", "get_variable"):
            return f"the file does not show what {text} is at the first step"
        named = {item.arg: item.value for item in value.keywords}
        first = named.get("initial_value", named.get("initializer", value.args[0] if value.args else None))
        if isinstance(first, ast.Call) and called(first) in ("zeros_initializer", "zeros"):
            return None
        if isinstance(first, ast.Call) and called(first) in ("constant_initializer", "constant") and first.args:
            first = first.args[0]
        start = read_value(first) if first is not None else None
        return None if start is not None and start.known and start.literal == 0 else f"{text} does not start at 0"

    def _changed(self, counter: ast.expr, text: str) -> str | None:
        """Say which line may change a counter beside the steps; None where none does."""
        variable, known = self.module.variable(counter), self._known(counter)
        uses: list[ast.expr] = list(variable.uses) if variable is not None else []
        if known == _GLOBAL[0]:
            calls = (self.module.parent(node) for name in _GLOBAL for node in self.module.attributes(name))
            uses += (call for call in calls if isinstance(call, ast.Call))
        for use in uses:
            parent = self.module.parent(use)
            call = self.module.call_with(use)
            method = self.module.parent(parent) if isinstance(parent, ast.Attribute) else None
            sets = isinstance(parent, ast.Attribute) and parent.attr in _SETS and isinstance(method, ast.Call)
            passed = call is not None and not self._leaves(call)
            if sets or passed or isinstance(parent, ast.AugAssign):
                return f"line {use.lineno} may change {text} as well"
        return None

    def _leaves(self, call: ast.Call) -> bool:
        """Tell whether a call that gets a counter only counts a step in it, or reads it."""
        if any(call is step for step in self.steps):
            return True
        return called(call) in _READS or "decay" in called(call) or called(call) == "piecewise_constant"


def _given(call: ast.Call) -> ast.expr | None:
    """The counter that a step is given."""
    named = (item.value for item in call.keywords if item.arg == "global_step")
    return next(named, call.args[1] if len(call.args) > 1 else None)

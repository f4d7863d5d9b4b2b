"""The rate of a schedule at a step, as a formula: read from the text that its table states once.

The text is Python's arithmetic: operators, conditions, the functions of `formula.FUNCTIONS`, and names for parts, assigned on
lines of their own. In braces stand canonical hyperparameters and traits of the call, `{step}`, and `{last_rate}`, the rate one
step before, which a schedule without a closed formula goes on from. It is parsed, and never run.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from typing import Final

from optmap.mapping.canonical import PACE, Canonical, attached
from optmap.mapping.formula import (
    FUNCTIONS,
    Formula,
    Op,
    call,
    choice,
    context,
    literal,
    named,
    negative,
    operation,
    same,
    times,
)

_MOST: Final = 10_000
"""Operations of a rate, those of a part as often as the part is named."""
STEP: Final = "step"
LAST: Final = "last_rate"
_OPERATORS: Final[dict[type[ast.AST], Op]] = {
    ast.Add: Op.PLUS, ast.Sub: Op.MINUS, ast.Mult: Op.TIMES, ast.Div: Op.OVER, ast.FloorDiv: Op.WHOLE, ast.Mod: Op.REST,
    ast.Pow: Op.POWER, ast.Lt: Op.LESS, ast.LtE: Op.AT_MOST, ast.Eq: Op.EQUAL, ast.And: Op.AND,
}  # fmt: skip


class RateError(ValueError):
    """There is no formula for a call; the message says why."""


def rate_formula(source: Canonical, step: Formula | None = None) -> Formula:
    """The rate of a schedule at a step of the optimizer. Raises RateError.

    `step` is the number of steps so far; an attached schedule counts them in calls of its step().
    """
    api, algorithm = source.source, source.tables.algorithms[source.source.algorithm]
    reason = api.no_rate or algorithm.no_rate
    if algorithm.rate is None or reason is not None:
        raise RateError(reason or "its table states no formula")
    last = source.values.get("last_epoch")
    if last is not None and not source.neutral("last_epoch"):
        raise RateError("it is resumed from another run")
    step = _counted(source, step or context(STEP))

    def look_up(name: str) -> Formula:
        if name in (STEP, LAST):
            return step if name == STEP else context(LAST)
        trait = source.tables.traits.get(name)
        return source.value(name) if trait is None else literal(api.rule.get(name, trait.default))

    return read_rate(algorithm.rate, look_up, strict=True)


def _counted(source: Canonical, step: Formula) -> Formula:
    """The steps that the rate depends on: those up to the last time that the schedule looked."""
    pace = source.known.formula(PACE) if attached(source.source) else source.value(PACE)
    if attached(source.source) or source.source.rule.get("granularity") == "epoch":
        return step if same(pace, literal(1)) else times(operation(Op.WHOLE, step, pace), pace)
    return step


def over_first(rate: Formula, first: Formula) -> Formula | None:
    """The rate over the first one, where that is a factor of the formula."""
    if same(rate, first):
        return literal(1)
    if rate.op is Op.NAMED:
        return over_first(rate.items[0], first)
    if rate.op not in (Op.TIMES, Op.OVER):
        return None
    left = over_first(rate.items[0], first)
    return None if left is None else operation(rate.op, left, rate.items[1])


def read_rate(text: str, look_up: Callable[[str], Formula], *, strict: bool = False) -> Formula:
    """Read the text of a rate. Raises RateError, with `strict` also where what decides between formulas is not known."""
    try:
        return _read(ast.parse(text).body, look_up, strict)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, RateError):
            raise
        raise RateError(f"found {text[:80]!r}, expected lines that assign, and an expression") from error


def _read(body: list[ast.stmt], look_up: Callable[[str], Formula], strict: bool) -> Formula:
    *parts, last = body
    if not isinstance(last, ast.Expr):
        raise RateError(f"found {ast.unparse(last)!r}, expected an expression as the last line")
    reader = _Reader(look_up, strict)
    for part in parts:
        if not (isinstance(part, ast.Assign) and len(part.targets) == 1 and isinstance(part.targets[0], ast.Name)):
            raise RateError(f"found {ast.unparse(part)!r}, expected `name = expression`")
        reader.parts[part.targets[0].id] = part.value
    if not strict:
        for node in list(reader.parts.values()):
            reader.read(node)
    counts = Counter(node.name for node in reader.read(last.value).nodes() if node.op is Op.NAMED)
    reader.shared = {name for name, count in counts.items() if count > 1}
    return reader.read(last.value)


class _Reader:
    def __init__(self, look_up: Callable[[str], Formula], strict: bool) -> None:
        self.look_up = look_up
        self.strict = strict
        self.parts: dict[str, ast.expr] = {}
        self.shared: set[str] | None = None
        self.left = _MOST

    def read(self, node: ast.expr) -> Formula:
        """An expression as a formula. Raises RateError for what is not in the vocabulary, and for too much."""
        self.left -= 1
        if self.left < 0:
            raise RateError(f"expected at most {_MOST} operations")
        if isinstance(node, ast.Set) and len(node.elts) == 1 and isinstance(node.elts[0], ast.Name):
            return self.look_up(node.elts[0].id)
        if isinstance(node, ast.Name) and node.id in self.parts:
            part = self.parts.pop(node.id)  # a part that speaks of itself is no arithmetic
            found = self.read(part)
            self.parts[node.id] = part
            return named(node.id, found) if self.shared is None or node.id in self.shared else found
        if isinstance(node, ast.Name) and node.id == "pi":
            return context("pi")
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            return literal(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return operation(_OPERATORS[type(node.op)], self._number(node.left), self._number(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return negative(self._number(node.operand))
        if isinstance(node, ast.BoolOp) and type(node.op) in _OPERATORS and len(node.values) == 2:
            left = self.read(node.values[0])
            return left if left.known and not left.number else operation(Op.AND, left, self.read(node.values[1]))
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compared(node, node.ops[0])
        if isinstance(node, ast.IfExp):
            return self._chosen(node)
        if isinstance(node, ast.Subscript):
            return Formula(Op.ITEM, (self.read(node.value), self.read(node.slice)))
        if isinstance(node, ast.Call) and not node.keywords:
            return self._called(node)
        raise RateError(f"found {ast.unparse(node)!r}, which is no arithmetic")

    def _number(self, node: ast.expr) -> Formula:
        found = self.read(node)
        if found.op is Op.LIST or (found.known and not isinstance(found.number, int | float)):
            raise RateError(f"{ast.unparse(node)} is not a number")
        return found

    def _compared(self, node: ast.Compare, how: ast.cmpop) -> Formula:
        left, right = self.read(node.left), node.comparators[0]
        if isinstance(how, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            return literal((left.known and left.number is None) is isinstance(how, ast.Is))
        if type(how) not in _OPERATORS:
            raise RateError(f"found {ast.unparse(node)!r}, which is no arithmetic")
        return operation(_OPERATORS[type(how)], left, self.read(right))

    def _chosen(self, node: ast.IfExp) -> Formula:
        test = self.read(node.test)
        if test.known and self.strict:
            return self.read(node.body if test.number else node.orelse)
        if self.strict and STEP not in test.missing():
            raise RateError(f"which formula holds depends on {ast.unparse(node.test)}, which is not known")
        return choice(test, self.read(node.body), self.read(node.orelse))

    def _called(self, node: ast.Call) -> Formula:
        items = [self.read(item) for item in node.args]
        if isinstance(node.func, ast.Set):
            return Formula(Op.CALL, (self.read(node.func), *items))
        name = ast.unparse(node.func)
        if name not in FUNCTIONS:
            raise RateError(f"found {name!r}, expected one of {', '.join(FUNCTIONS)}")
        return call(name, *items)

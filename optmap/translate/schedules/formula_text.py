"""A formula as Python source: the text of arguments where it has any, brackets only where they are needed; and a rate so."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from optmap.mapping.canonical import Canonical
from optmap.mapping.formula import Formula, Op
from optmap.mapping.rate import over_first
from optmap.mapping.values import write_literal
from optmap.source.calls import CallText
from optmap.source.text import Source
from optmap.values import NamedTuple

_ATOM: Final = 8
_ATOMS: Final = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Tuple, ast.Constant)
_LEVELS: Final = {
    Op.IF: 0, Op.AND: 1, Op.LESS: 2, Op.AT_MOST: 2, Op.EQUAL: 2, Op.PLUS: 3, Op.MINUS: 3, Op.TIMES: 4, Op.OVER: 4, Op.WHOLE: 4,
    Op.REST: 4, Op.NEGATIVE: 5, Op.POWER: 6,
}  # fmt: skip
"""How tightly the operators bind."""
_MATH: Final = ("floor", "ceil", "cos", "exp", "log")


def write_formula(
    formula: Formula, source: Source, call: CallText, names: Mapping[str, str] | None = None, *, tight: bool = False
) -> str:
    """Write a formula over the arguments of a call; with `tight`, so that it can stand beside any operator.

    `names` gives the text of quantities that the call does not hold; others are written by their name.
    """
    return _Writer(formula, source, call, {"pi": "math.pi", **(names or {})}).write(formula, _ATOM if tight else 0)


class _Writer:
    """Writes one formula; a part that it has more than once gets its name where it is evaluated first."""

    def __init__(self, formula: Formula, source: Source, call: CallText, names: Mapping[str, str]) -> None:
        self.source = source
        self.call = call
        self.names = names
        counts = Counter(node.name for node in formula.nodes() if node.op is Op.NAMED)
        self.shared = {name for name, count in counts.items() if count > 1}
        self.bound: frozenset[str] = frozenset()

    def write(self, formula: Formula, level: int) -> str:
        """Write a part that stands beside an operator which binds so tightly."""
        if formula.op is Op.NAMED and formula.name not in self.shared:
            return self.write(formula.items[0], level)
        text, own = self._text(formula), _LEVELS.get(formula.op, _ATOM)
        if formula.op is Op.LITERAL and text.startswith("-"):
            own = _LEVELS[Op.NEGATIVE]
        if formula.op in (Op.ARGUMENT, Op.CONTEXT) and not isinstance(ast.parse(text, mode="eval").body, _ATOMS):
            own = 0
        return f"({text})" if own < level else text

    def _text(self, formula: Formula) -> str:
        op, items = formula.op, formula.items
        if op is Op.LITERAL:
            return write_literal(formula.literal)
        if op is Op.ARGUMENT:
            return self._argument(formula)
        if op is Op.CONTEXT:
            return self.names.get(formula.name, formula.name)
        if op is Op.LIST:
            return f"[{', '.join(self.write(item, 0) for item in items)}]"
        if op is Op.EACH:
            return f"[item {_signed(formula.literal)} for item in {self.write(items[0], _ATOM)}]"
        if op is Op.ITEM:
            return f"{self.write(items[0], _ATOM)}[{self.write(items[1], 0)}]"
        if op is Op.CALL:
            return self._called(formula)
        if op is Op.NAMED:
            return self._named(formula)
        if op is Op.IF:
            return self._chosen(formula)
        level = _LEVELS[op]
        if op is Op.NEGATIVE:
            return f"-{self.write(items[0], level + 1)}"
        left = self.write(items[0], level + (op is Op.POWER) + (level == _LEVELS[Op.LESS]))
        if op is Op.PLUS and items[1].known and items[1].number < 0:
            return f"{left} {_signed(items[1].number)}"
        return f"{left} {op.value} {self.write(items[1], _LEVELS[Op.NEGATIVE] if op is Op.POWER else level + 1)}"

    def _argument(self, formula: Formula) -> str:
        node = self.call.arguments[formula.index].node
        if formula.element is not None:
            assert isinstance(node, ast.Tuple | ast.List)
            node = node.elts[formula.element]
        return self.source.text_of(node)

    def _called(self, formula: Formula) -> str:
        if formula.name == "reached":
            milestones, step = formula.items
            one = self.names.get("milestone", "milestone")
            return f"sum({self.write(step, 3)} >= {one} for {one} in {self.write(milestones, 0)})"
        if formula.name == "but_last":
            return f"{self.write(formula.items[0], _ATOM)}[:-1]"
        name = f"math.{formula.name}" if formula.name in _MATH else formula.name
        items = formula.items
        if not name:
            name, items = self.write(items[0], _ATOM), items[1:]
        return f"{name}({', '.join(self.write(item, 0) for item in items)})"

    def _named(self, formula: Formula) -> str:
        if formula.name in self.bound:
            return formula.name
        text = self.write(formula.items[0], 0)
        self.bound |= {formula.name}
        return f"({formula.name} := {text})"

    def _chosen(self, formula: Formula) -> str:
        """What the test binds is bound for both branches, what a branch binds is not bound behind it."""
        test, *branches = formula.items
        condition = self.write(test, 1)
        bound, texts = self.bound, []
        for level, branch in enumerate(reversed(branches)):
            texts.append(self.write(branch, level))
            self.bound = bound
        return f"{texts[1]} if {condition} else {texts[0]}"


def _signed(number: object) -> str:
    assert isinstance(number, int | float)
    return f"- {-number}" if number < 0 else f"+ {number}"


class RateText(NamedTuple):
    """The rate at a step is `first` times `factor`; `first` is the rate to begin with, or 1.0 where there is none."""

    first: str
    factor: str
    rate: str


def rate_text(call: Canonical, rate: Formula, write: Callable[[Formula], str]) -> RateText:
    """Write the rate of a call."""
    first = call.value("learning_rate")
    factor = over_first(rate, first)
    text = write(rate)
    return RateText("1.0", text, text) if factor is None else RateText(write(first), write(factor), text)

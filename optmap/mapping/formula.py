"""Arithmetic as a small tree that can be folded: measures that two frameworks state differently, and the rates of schedules.

A leaf is an argument of the call, or one element of it; a literal; or a quantity that the call does not hold, such as the steps
per epoch. Formulas are made by the functions below, which simplify: what is known becomes a literal.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from typing import Any, Final

from optmap.mapping.records import Literal
from optmap.mapping.values import Value
from optmap.mapping.vocabulary import same_value
from optmap.values import NamedTuple


class Op(Enum):
    """What a node does with its items; the value of an operator is how Python writes it."""

    ARGUMENT = "argument"
    LITERAL = "literal"
    CONTEXT = "a quantity that the call does not hold"
    LIST = "list"
    EACH = "`literal` added to every item of a list that cannot be seen into"
    CALL = "a function called `name`, or one that an argument holds"
    ITEM = "an item of a list"
    NAMED = "a part that is written once under its `name`"
    IF = "test, value where it holds, value where it does not"
    AND = "and"
    LESS = "<"
    AT_MOST = "<="
    EQUAL = "=="
    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    OVER = "/"
    WHOLE = "//"
    REST = "%"
    NEGATIVE = "negative"
    POWER = "**"


_MANY_BITS: Final = 1024
"""No float reaches a larger integer."""


def _power(base: float, exponent: float) -> Any:
    """A power; of integers as a float where it has more digits than any program needs. Raises ArithmeticError."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > _MANY_BITS:
        return float(base) ** exponent
    return base**exponent


ARITHMETIC: Final[dict[Op, Callable[[Any, Any], Any]]] = {
    Op.LESS: operator.lt, Op.AT_MOST: operator.le, Op.PLUS: operator.add, Op.MINUS: operator.sub, Op.TIMES: operator.mul,
    Op.OVER: operator.truediv, Op.WHOLE: operator.floordiv, Op.REST: operator.mod, Op.POWER: _power,
}  # fmt: skip
FUNCTIONS: Final[dict[str, Callable[..., Any] | None]] = {
    "min": min, "max": max, "floor": math.floor, "ceil": math.ceil, "cos": math.cos, "exp": math.exp, "log": math.log,
    "reached": None,
}  # fmt: skip
"""What a rate may call; `reached` is how many items of a list are not above a number."""


class Formula(NamedTuple):
    """A node; `name` is that of a CONTEXT quantity, a NAMED part or a CALLed function."""

    op: Op
    items: tuple[Formula, ...] = ()
    index: int = -1  # type: ignore[assignment]
    element: int | None = None
    value: Value = Value()
    literal: Literal = None
    name: str = ""

    @property
    def is_leaf(self) -> bool:
        """Whether it is an argument of the call, or one element of it, as it stands there."""
        if self.op is Op.LIST:
            return self.index >= 0 and self.value.elements is not None
        return self.op in (Op.ARGUMENT, Op.LITERAL) and self.index >= 0

    @property
    def known(self) -> bool:
        """Whether the value can be computed: `literal` holds it."""
        return self.op is Op.LITERAL or (self.op is Op.LIST and all(item.known for item in self.items))

    @property
    def number(self) -> Any:
        """The value of a known formula."""
        return tuple(item.number for item in self.items) if self.op is Op.LIST else self.literal

    @property
    def is_float(self) -> bool:
        """Whether the value can only be a float."""
        if self.op is Op.LITERAL:
            return isinstance(self.literal, float)
        if self.op is Op.ARGUMENT:
            return self.value.is_float
        if self.op is Op.CALL:
            return self.name == "float"
        return self.op is Op.OVER or (self.op in (Op.TIMES, Op.PLUS) and any(item.is_float for item in self.items))

    @property
    def may_be_fraction(self) -> bool:
        """Whether the value may be no whole number, as far as one can see."""
        if self.op is Op.LITERAL:
            return isinstance(self.literal, float) and not self.literal.is_integer()
        if self.op is Op.ARGUMENT:
            return self.value.is_fraction
        return self.op is Op.OVER or any(item.may_be_fraction for item in self.items)

    def nodes(self) -> Iterator[Formula]:
        """The formula and everything in it, as often as it occurs."""
        yield self
        for item in self.items:
            yield from item.nodes()

    def arguments(self) -> list[Formula]:
        """Every leaf that is an argument, as often as it occurs."""
        return [node for node in self.nodes() if node.op is Op.ARGUMENT]

    def missing(self) -> set[str]:
        """The quantities that the call does not hold."""
        return {node.name for node in self.nodes() if node.op is Op.CONTEXT}


def argument(index: int, value: Value, element: int | None = None) -> Formula:
    """An argument of the call, or one element of it; a list or tuple display is taken apart.

    What is known is still an argument for its text.
    """
    if element is not None:
        elements = value.elements or ()
        own = elements[element] if element < len(elements) else Value()
        return _leaf(Formula(Op.ARGUMENT, index=index, element=element, value=own))
    if value.elements is not None:
        items = tuple(
            _leaf(Formula(Op.ARGUMENT, index=index, element=k, value=v)) for k, v in enumerate(value.elements)
        )
        return Formula(Op.LIST, items, index=index, value=value)
    return _leaf(Formula(Op.ARGUMENT, index=index, value=value))


def _leaf(found: Formula) -> Formula:
    return literal(found.value.literal, found) if found.value.known else found  # type: ignore[arg-type]


def literal(value: Literal, origin: Formula | None = None) -> Formula:
    """A literal; `origin` is the argument that holds it, so that its text can be copied."""
    if origin is not None:
        return Formula(Op.LITERAL, index=origin.index, element=origin.element, value=origin.value, literal=value)
    return Formula(Op.LITERAL, literal=value)


def context(name: str) -> Formula:
    """A quantity that the call does not hold."""
    return Formula(Op.CONTEXT, name=name)


def times(left: Formula, right: Formula) -> Formula:
    """The product; lists are multiplied item by item."""
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(times(item, right) for item in left.items), index=left.index)
    if _is(right, 1) or _is(left, 1):
        return left if _is(right, 1) else right
    if _is(left, 0) and not right.known:
        return literal(0.0)
    if right.op is Op.OVER:
        return over(times(left, right.items[0]), right.items[1])
    return _folded(Op.TIMES, left, right)


def over(left: Formula, right: Formula) -> Formula:
    """The quotient; an integer where it is one."""
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(over(item, right) for item in left.items), index=left.index)
    if _is(right, 1):
        return left
    if _is(left, 0):
        return literal(0.0)
    if left.op is Op.TIMES and same(left.items[1], right):
        return left.items[0]
    whole = left.known and right.known and isinstance(left.number, int) and isinstance(right.number, int)
    if whole and right.number != 0 and left.number % right.number == 0:
        return literal(left.number // right.number)
    return _folded(Op.OVER, left, right)


def plus(left: Formula, right: Formula) -> Formula:
    """The sum; a number is added to a list item by item."""
    if _is(right, 0) or _is(left, 0):
        return left if _is(right, 0) else right
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(plus(item, right) for item in left.items), index=left.index)
    if left.op is Op.PLUS and left.items[1].known and right.known:
        return plus(left.items[0], plus(left.items[1], right))
    if right.op is Op.NEGATIVE:
        return minus(left, right.items[0])
    first = right.items[0] if right.op is Op.TIMES else literal(0)
    if first.op is Op.NEGATIVE or (first.known and first.number < 0):
        return minus(left, times(negative(first), right.items[1]))
    return _folded(Op.PLUS, left, right)


def minus(left: Formula, right: Formula) -> Formula:
    """The difference; x - x * (1 - y) is x * y. Of numbers such as 0.1 - 0.01 it stays one: people read it more easily."""
    if _is(left, 0):
        return negative(right)
    if right.known and not left.known:
        return plus(left, negative(right))
    if right.op is Op.TIMES and same(left, right.items[0]):
        rest = right.items[1]
        if rest.op is Op.MINUS and _is(rest.items[0], 1):
            return times(left, rest.items[1])
    found = _folded(Op.MINUS, left, right)
    short = not found.known or len(repr(found.number)) <= len(f"{left.number!r} - {right.number!r}")
    return found if short else Formula(Op.MINUS, (left, right))


def negative(item: Formula) -> Formula:
    """The number with the other sign."""
    if item.known:
        return literal(-item.number)
    return item.items[0] if item.op is Op.NEGATIVE else Formula(Op.NEGATIVE, (item,))


def each(left: Formula, number: int) -> Formula:
    """A number added to every item of a list, which perhaps cannot be seen into."""
    if left.op is Op.LIST or left.known:
        return plus(left, literal(number))
    if left.op is Op.EACH:
        total = left.literal + number  # type: ignore[operator]
        return left._replace(literal=total) if total else left.items[0]
    return Formula(Op.EACH, (left,), literal=number) if number else left


def operation(op: Op, left: Formula, right: Formula) -> Formula:
    """What an operator makes of two formulas."""
    own = {Op.TIMES: times, Op.OVER: over, Op.PLUS: plus, Op.MINUS: minus}.get(op)
    if own is not None:
        return own(left, right)
    if op is Op.AND and left.known:
        return right if left.number else left
    if op is Op.EQUAL and left.known and right.known:
        return literal(same(left, right))
    if (op in (Op.POWER, Op.WHOLE) and _is(right, 1)) or (op is Op.POWER and _is(left, 1)):
        return left
    return _folded(op, left, right)


def choice(test: Formula, held: Formula, other: Formula) -> Formula:
    """One formula where a test holds, another where it does not."""
    if test.known:
        return held if test.number else other
    return Formula(Op.IF, (test, held, other))


def call(name: str, *items: Formula) -> Formula:
    """A function called with the values."""
    function = FUNCTIONS.get(name)
    if function is not None and all(item.known and _is_number(item) for item in items):
        with suppress(ArithmeticError, ValueError):
            return literal(function(*(item.number for item in items)))
    return Formula(Op.CALL, items, name=name)


def named(name: str, item: Formula) -> Formula:
    """A part that is written once, under its name, where it is more than one word."""
    return item if item.known or not item.items else Formula(Op.NAMED, (item,), name=name)


def same(left: Formula, right: Formula) -> bool:
    """Whether two formulas can only have the same value: equal trees, or equal numbers."""
    return same_value(left.number, right.number) if left.known and right.known else left == right


def _is(formula: Formula, number: int) -> bool:
    return formula.known and _is_number(formula) and formula.number == number


def _is_number(formula: Formula) -> bool:
    return isinstance(formula.number, int | float) and not isinstance(formula.number, bool)


def _folded(op: Op, left: Formula, right: Formula) -> Formula:
    if left.known and right.known and _is_number(left) and _is_number(right) and op in ARITHMETIC:
        try:
            found = ARITHMETIC[op](left.number, right.number)
        except ArithmeticError:
            found = None
        if isinstance(found, float) or (isinstance(found, int) and found.bit_length() <= _MANY_BITS):
            return literal(found)
    return Formula(op, (left, right))

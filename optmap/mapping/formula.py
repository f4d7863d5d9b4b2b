"""Arithmetic between the measures in which two frameworks state the same thing, as a small tree that can be folded.

A leaf is an argument of the call, or one element of it; a literal; or a quantity that the call does not hold, such as the steps
per epoch. Formulas are made by the functions below, which simplify: what is known becomes a literal.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, NamedTuple

from optmap.mapping.model import Literal, same_value
from optmap.mapping.values import Value


class Op(Enum):
    """What a node does with its items. EACH adds `literal` to every item of a list that cannot be seen into."""

    ARGUMENT = auto()
    LITERAL = auto()
    CONTEXT = auto()
    TIMES = auto()
    OVER = auto()
    PLUS = auto()
    EACH = auto()
    LIST = auto()
    CALL = auto()


class Formula(NamedTuple):
    """A node; `name` is that of a CONTEXT quantity or of a CALLed builtin."""

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

    def arguments(self) -> list[Formula]:
        """Every leaf that is an argument, as often as it occurs."""
        return [self] if self.op is Op.ARGUMENT else [leaf for item in self.items for leaf in item.arguments()]

    def missing(self) -> set[str]:
        """The quantities that the call does not hold."""
        own = {self.name} if self.op is Op.CONTEXT else set()
        return own.union(*(item.missing() for item in self.items))


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
    if _is(right, 1):
        return left
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(times(item, right) for item in left.items), index=left.index)
    if left.known and right.known and _numbers(left, right):
        return literal(left.number * right.number)
    if _is(left, 0):
        return literal(0.0)
    return Formula(Op.TIMES, (left, right))


def over(left: Formula, right: Formula) -> Formula:
    """The quotient; an integer where it is one."""
    if _is(right, 1):
        return left
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(over(item, right) for item in left.items), index=left.index)
    if _is(left, 0):
        return literal(0.0)
    if left.op is Op.TIMES and same(left.items[1], right):
        return left.items[0]
    if left.known and right.known and _numbers(left, right) and right.number != 0:
        whole = isinstance(left.number, int) and isinstance(right.number, int) and left.number % right.number == 0
        return literal(left.number // right.number if whole else left.number / right.number)
    return Formula(Op.OVER, (left, right))


def plus(left: Formula, number: int) -> Formula:
    """The sum with a number, item by item for a list."""
    if number == 0:
        return left
    if left.op is Op.LIST:
        return Formula(Op.LIST, tuple(plus(item, number) for item in left.items), index=left.index)
    if left.op in (Op.PLUS, Op.EACH):
        total = left.literal + number  # type: ignore[operator]
        return left.items[0] if total == 0 else left._replace(literal=total)
    if left.known and isinstance(left.number, int | float):
        return literal(left.number + number)
    return Formula(Op.PLUS, (left,), literal=number)


def each(left: Formula, number: int) -> Formula:
    """A number added to every item of a list that cannot be seen into."""
    if left.op is Op.LIST or left.known:
        return plus(left, number)
    if left.op is Op.EACH:
        return plus(left, number)
    return Formula(Op.EACH, (left,), literal=number) if number else left


def call(name: str, item: Formula) -> Formula:
    """A builtin called with the value."""
    return Formula(Op.CALL, (item,), name=name)


def same(left: Formula, right: Formula) -> bool:
    """Whether two formulas can only have the same value: equal trees, or equal numbers."""
    if left.known and right.known:
        return same_value(left.number, right.number)
    return left == right


def _is(formula: Formula, number: int) -> bool:
    return formula.known and not isinstance(formula.number, bool | tuple) and formula.number == number


def _numbers(*formulas: Formula) -> bool:
    return all(isinstance(item.number, int | float) for item in formulas)

"""What is known of a hyperparameter's value, and the closed set of conversions that a target's types may need."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, TypeAlias

from optmap.mapping.records import Literal
from optmap.mapping.vocabulary import Accepts
from optmap.values import NamedTuple


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


class Value(NamedTuple):
    """A value as far as it can be known without running anything.

    `literal` is UNKNOWN unless the expression is made of literals; `elements` are the items of a tuple or list display;
    `is_name` says that reading the expression twice is harmless; `is_list`, `is_float` and `is_bool` that it can only be one,
    `is_fraction` that it may be no whole number, as far as one can see, `is_scalar` that it is a float of numpy's, which is no
    float to most frameworks.
    `text` is how a name, an attribute or an item is written, for messages.
    """

    literal: Literal | _Unknown = UNKNOWN
    elements: tuple[Value, ...] | None = None
    is_name: bool = False
    is_list: bool = False
    is_float: bool = False
    is_bool: bool = False
    is_fraction: bool = False
    is_scalar: bool = False
    text: str | None = None

    @property
    def known(self) -> bool:
        return not isinstance(self.literal, _Unknown)


def literal_value(literal: Literal) -> Value:
    """Return the Value of a Python literal."""
    elements = tuple(map(literal_value, literal)) if isinstance(literal, tuple) else None
    is_float = isinstance(literal, float)
    return Value(literal, elements, is_float=is_float, is_fraction=is_float and not literal.is_integer())  # type: ignore[union-attr]


_SCALARS: Final = ("float16", "float32", "float64", "single", "half")
_LONGEST: Final = 20
"""How many attributes and subscripts a quoted value may have."""
_MANY_BITS: Final = 1024
"""No float reaches a larger integer, and Python does not print them."""

_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


Follow: TypeAlias = Callable[[ast.expr], Iterable[ast.expr]]
"""Gives the values that a name may have."""


def read_value(node: ast.expr, follow: Follow = lambda node: ()) -> Value:
    """Learn what the expression tells about its value, without evaluating calls; `follow` may tell what names hold."""
    found = _read(node, follow)
    if is_scalar(node):
        return found._replace(is_scalar=True)
    return found if found.known or not may_be_fraction(node, follow) else found._replace(is_fraction=True)


def is_scalar(node: ast.expr) -> bool:
    """`np.float32(0.1)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SCALARS


def may_be_fraction(node: ast.expr, follow: Follow = lambda node: (), depth: int = 5) -> bool:
    """Tell whether a number may be no whole one, as far as the expression and what its names hold show.

    What comes from elsewhere, such as an option or the result of a function, counts as whole.
    """
    if depth == 0:
        return False
    parts: Iterable[ast.expr] = ()
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float) and not node.value.is_integer()
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Div | ast.FloorDiv):
            return isinstance(node.op, ast.Div) and not _fold_is_whole(node)
        parts = (node.left,) if isinstance(node.op, ast.Mod) else (node.left, node.right)
    elif isinstance(node, ast.UnaryOp):
        parts = (node.operand,)
    elif isinstance(node, ast.IfExp):
        parts = (node.body, node.orelse)
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "id", "")
        parts = node.args if name in ("float", "min", "max", "abs", "sum") else ()
    elif isinstance(node, ast.Tuple | ast.List):
        parts = node.elts
    elif isinstance(node, ast.ListComp):
        parts = (node.elt,)
    elif isinstance(node, ast.Name | ast.Attribute):
        parts = follow(node)
    return any(may_be_fraction(part, follow, depth - 1) for part in parts)


def _fold_is_whole(node: ast.BinOp) -> bool:
    number = _fold(node)
    return number is not None and float(number).is_integer()


def _read(node: ast.expr, follow: Follow) -> Value:
    if isinstance(node, ast.Tuple | ast.List) and not any(isinstance(item, ast.Starred) for item in node.elts):
        elements = tuple(read_value(item, follow) for item in node.elts)
        literals = tuple(element.literal for element in elements if not isinstance(element.literal, _Unknown))
        known = literals if len(literals) == len(elements) else UNKNOWN
        return Value(known, elements, is_list=isinstance(node, ast.List))
    if isinstance(node, ast.Constant):
        if isinstance(node.value, int) and node.value.bit_length() > _MANY_BITS:
            return Value()
        if node.value is None or isinstance(node.value, bool | int | float | str):
            return literal_value(node.value)
        return literal_value(repr(node.value))  # bytes, a complex number: no number that an optimizer takes
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Value(is_bool=True)
    if isinstance(node, ast.UnaryOp | ast.BinOp):
        number = _fold(node)
        return Value() if number is None else literal_value(number)
    if isinstance(node, ast.Name):
        return Value(is_name=True, text=node.id)
    if _is_quotable(node):
        return Value(text=ast.unparse(node))
    if isinstance(node, ast.Compare):
        return Value(is_bool=True)
    if isinstance(node, ast.ListComp):
        return Value(is_list=True)
    makes_float = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
    return Value(is_float=makes_float)


def _is_quotable(node: ast.expr) -> bool:
    """`config.rate` and `config["rate"]`, which a message may repeat; much longer ones it would not."""
    for _ in range(_LONGEST):
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            return False
        if not isinstance(node, ast.Attribute | ast.Subscript):
            return isinstance(node, ast.Name)
        node = node.value
    return False


def _fold(node: ast.expr) -> float | None:
    """Compute arithmetic on number literals such as `1 / 3` or `-5e-4`; None where it is anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _fold(node.operand)
        return None if inner is None else -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        right = _fold(node.right)  # first, as sums of hundreds of terms are deep on the left
        left = _fold(node.left) if right is not None else None
        if left is None or right is None or (isinstance(node.op, ast.Pow) and max(abs(left), abs(right)) > 1e3):
            return None
        try:
            result = _OPERATORS[type(node.op)](left, right)
            if isinstance(result, int) and result.bit_length() > _MANY_BITS:
                return None
            return result if isinstance(result, int | float) and math.isfinite(result) else None
        except ArithmeticError:
            return None
    return None


class Conversion(StrEnum):
    """What a target's strict types may ask for. NONE copies the text."""

    NONE = "none"
    FLOAT = "float"
    BOOL = "bool"


def conversion(value: Value, accepts: Accepts) -> Conversion:
    """Choose the conversion that makes the value acceptable."""
    if value.is_scalar and accepts in (Accepts.ANY, Accepts.FLOAT, Accepts.NOT_INT):
        return Conversion.FLOAT
    if accepts is Accepts.NOT_INT and value.known and type(value.literal) is int:
        return Conversion.FLOAT
    if accepts is Accepts.FLOAT and not value.is_float and not isinstance(value.literal, float):
        return Conversion.FLOAT
    if accepts is Accepts.BOOL and not value.is_bool and not isinstance(value.literal, bool):
        return Conversion.BOOL
    return Conversion.NONE


def convert(literal: Literal, how: Conversion) -> Literal:
    """Apply a conversion to a literal. Raises TypeError for what is neither a number nor a flag."""
    if how is Conversion.NONE:
        return literal
    if not isinstance(literal, bool | int | float):
        raise TypeError(f"cannot convert {literal!r} to {how}")
    return float(literal) if how is Conversion.FLOAT else bool(literal)


def converted(text: str, value: Value, how: Conversion) -> str:
    """The text of a value after a conversion: a literal in its new type, or the text inside a call of the type."""
    if how is Conversion.NONE:
        return text
    return write_literal(convert(value.literal, how)) if value.known else f"{how}({text})"  # type: ignore[arg-type]


def write_literal(literal: Literal) -> str:
    """Write a literal as Python source; numbers in the shortest form that reads back equal."""
    if isinstance(literal, tuple):
        inner = ", ".join(map(write_literal, literal))
        return f"({inner},)" if len(literal) == 1 else f"({inner})"
    if isinstance(literal, float) and not math.isfinite(literal):
        return f'float("{literal}")'
    return repr(literal)

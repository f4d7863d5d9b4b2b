"""A formula as Python source: the text of arguments where it has any, brackets only where they are needed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from optmap.mapping.formula import Formula, Op
from optmap.mapping.values import write_literal
from optmap.source.calls import CallText
from optmap.source.text import Source

_PLAIN: Final = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Tuple, ast.Constant)


def write_formula(
    formula: Formula, source: Source, call: CallText, names: Mapping[str, str] | None = None, *, tight: bool = False
) -> str:
    """Write a formula over the arguments of a call; with `tight`, so that it can stand beside any operator.

    `names` gives the text of quantities that the call does not hold; others are written by their name.
    """

    def part(item: Formula) -> str:
        return write_formula(item, source, call, names, tight=True)

    if formula.op is Op.LITERAL:
        text = write_literal(formula.literal)
        return f"({text})" if tight and text.startswith("-") else text
    if formula.op is Op.ARGUMENT:
        return _argument_text(formula, source, call, tight)
    if formula.op is Op.CONTEXT:
        return (names or {}).get(formula.name, formula.name)
    if formula.op is Op.LIST:
        return f"[{', '.join(write_formula(item, source, call, names) for item in formula.items)}]"
    if formula.op is Op.CALL:
        return f"{formula.name}({write_formula(formula.items[0], source, call, names)})"
    if formula.op is Op.EACH:
        return f"[item {_signed(formula.literal)} for item in {part(formula.items[0])}]"
    if formula.op is Op.PLUS:
        text = f"{part(formula.items[0])} {_signed(formula.literal)}"
    else:
        sign = " * " if formula.op is Op.TIMES else " / "
        text = sign.join(map(part, formula.items))
    return f"({text})" if tight else text


def _argument_text(formula: Formula, source: Source, call: CallText, tight: bool) -> str:
    node = call.arguments[formula.index].node
    if formula.element is not None:
        assert isinstance(node, ast.Tuple | ast.List)
        node = node.elts[formula.element]
    text = source.text(source.start(node), source.end(node))
    return text if not tight or isinstance(node, _PLAIN) else f"({text})"


def _signed(number: object) -> str:
    assert isinstance(number, int)
    return f"- {-number}" if number < 0 else f"+ {number}"

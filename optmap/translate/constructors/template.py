"""A plan as the call that it makes: the callee, and for each argument a template over the old arguments."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from optmap.mapping.plan import Constant, FromArgument, Piece, Plan, TargetArgument
from optmap.mapping.values import Conversion, Value, convert, write_literal
from optmap.source.calls import CallText, Form
from optmap.source.templates import CallTemplate, NewArgument, Template, copied, template
from optmap.source.text import Source

if TYPE_CHECKING:
    from optmap.mapping.formula import Formula

_LAST: Final = 1 << 30


def formula_text(formula: Formula, source: Source, call: CallText) -> str:
    """Write a formula; only schedules have any."""
    from optmap.translate.schedules.formula_text import write_formula

    return write_formula(formula, source, call)


def call_template(
    source: Source, call: CallText, values: Sequence[Value], plan: Plan, callee: str, inferred: str | None
) -> CallTemplate:
    """The call that the plan says; `inferred` is the text of unnamed parameters.

    Arguments keep the order of the text, inferred parameters come first, and defaults that are written out last.
    """
    writer = _Arguments(source, call, values)
    found = sorted(
        (writer.given(target, inferred) for target in sorted(plan.arguments, key=_element)),
        key=lambda item: item[0],
    )
    return CallTemplate(Template(callee), tuple(given for _, given in found))


class _Arguments:
    def __init__(self, source: Source, call: CallText, values: Sequence[Value]) -> None:
        self.source = source
        self.call = call
        self.values = values

    def given(self, target: TargetArgument, inferred: str | None) -> tuple[int, NewArgument]:
        """An argument, and where it stands among the others."""
        name = target.parameter.name
        indices = [piece.index for piece in target.pieces if isinstance(piece, FromArgument)]
        if not indices:
            if all(isinstance(piece, Constant) for piece in target.pieces):
                return _LAST, NewArgument(name, self._value(target))
            assert inferred is not None
            return -1, NewArgument(None, Template(inferred))
        index = min(indices)
        keeps_place = self.call.arguments[index].form is Form.POSITIONAL and index == 0 and target.parameter.leads
        first = target.pieces[0]
        element = first.element if isinstance(first, FromArgument) and not target.compound else None
        leads = keeps_place and not target.compound and element is None
        element = element if self._is_shown(index) else None
        return index, NewArgument(None if leads else name, self._value(target), index, element)

    def _is_shown(self, index: int) -> bool:
        """Tell whether an argument is a display whose elements can be told apart."""
        is_display = isinstance(self.call.arguments[index].node, ast.Tuple | ast.List)
        return is_display and self.values[index].elements is not None

    def _value(self, target: TargetArgument) -> Template:
        if not target.compound:
            return self._piece(target.pieces[0])
        pieces = {f"p{place}": self._piece(piece) for place, piece in enumerate(target.pieces)}
        return template(f"({', '.join(f'${name}' for name in pieces)})", **pieces)

    def _piece(self, piece: Piece) -> Template:
        if isinstance(piece, Constant):
            if piece.formula is not None:
                return Template(formula_text(piece.formula, self.source, self.call))
            return Template(write_literal(piece.literal))
        assert isinstance(piece, FromArgument)
        if piece.formula is not None:
            return Template(formula_text(piece.formula, self.source, self.call))
        node, value = self.call.arguments[piece.index].node, self.values[piece.index]
        own = copied(node)
        if piece.element is not None:
            shown = self._is_shown(piece.index)
            own = copied(node.elts[piece.element]) if shown else template(f"$whole[{piece.element}]", whole=node)  # type: ignore[attr-defined]
            value = value.elements[piece.element] if value.elements is not None else Value()
        return _converted(own, value, piece.conversion)


def _element(target: TargetArgument) -> int:
    first = target.pieces[0]
    return (first.element or 0) if isinstance(first, FromArgument) else 0


def _converted(own: Template, value: Value, how: Conversion) -> Template:
    """A value after a conversion: a literal in its new type, or the value inside a call of the type."""
    if how is Conversion.NONE:
        return own
    if value.known and not isinstance(value.literal, str | tuple | None):
        return Template(write_literal(convert(value.literal, how)))  # type: ignore[arg-type]
    return template(f"{how}($value)", value=own)

"""Write out the constructor call of the target that a class of the source, given some arguments, stands for."""

from __future__ import annotations

from collections.abc import Sequence

from optmap.diagnostics import Severity
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Constant, FromArgument, Piece, Prefer, TargetArgument
from optmap.mapping.sections import Api
from optmap.mapping.values import Conversion, Value, convert, write_literal
from optmap.source.calls import Form
from optmap.translate.constructors.arguments import CallArgument, Refusal
from optmap.translate.constructors.reasons import RemedyKind
from optmap.translate.constructors.resolve import Rewrite, Trainer, resolve
from optmap.values import NamedTuple


class GivenArgument(NamedTuple):
    """An argument: its keyword, its text, and what is known of its value."""

    name: str
    text: str
    value: Value


class Constructor(NamedTuple):
    """The call as text, or None with the reasons why there is none. `warning` tells how the two will differ."""

    text: str | None
    reasons: tuple[str, ...] = ()
    warning: str = ""


def constructor(
    tables: MappingSet,
    api: Api,
    arguments: Sequence[GivenArgument],
    target: Framework,
    model: str,
    prefer: Prefer = Prefer.AUTO,
    *,
    trainer: Trainer | None = None,
    parameters: str | None = None,
) -> Constructor:
    """Write the target's call for `api(**arguments)`.

    It trains `parameters`, or those of `model`; both are texts of expressions. `trainer` is choosy about the class.
    """
    given = [item for item in arguments if item.name not in api.by_name or not api.by_name[item.name].is_parameters]
    parameter = api.parameters_argument
    if parameter is not None:
        given.insert(0, GivenArgument(parameter.name, "", Value(is_name=True)))
    resolved = resolve(
        tables, api, [CallArgument(Form.KEYWORD, item.name, item.value) for item in given], target, prefer=prefer,
        trainer=trainer,
    )  # fmt: skip
    if isinstance(resolved, Refusal):
        return Constructor(None, tuple(reason.whole for reason in resolved.reasons))
    trained = parameters or f"{model}.{target.facts.parameters.trainable or 'parameters'}()"
    texts = [_argument(item, given, trained) for item in resolved.plan.arguments]
    return Constructor(f"{resolved.plan.target.name}({', '.join(texts)})", (), _warning(resolved))


def _warning(resolved: Rewrite) -> str:
    """How training will differ; what avoids it is said once."""
    parts, advice = list[str](), list[str]()
    for reason in resolved.reasons:
        if reason.code.severity is Severity.WARNING:
            other = reason.remedy is not None and reason.remedy.kind is RemedyKind.OTHER_CLASS
            parts.append(reason.statement if other else reason.whole)
            advice += [reason.remedy.said] if other and reason.remedy is not None else []
    return "; ".join((*parts, *advice[:1]))


def _argument(item: TargetArgument, given: Sequence[GivenArgument], parameters: str) -> str:
    if item.parameter.is_parameters:
        return parameters
    texts = [_piece(piece, given) for piece in item.pieces]
    return f"{item.parameter.name}={'(' + ', '.join(texts) + ')' if item.compound else texts[0]}"


def _piece(piece: Piece, given: Sequence[GivenArgument]) -> str:
    if isinstance(piece, Constant):
        return write_literal(piece.literal)
    assert isinstance(piece, FromArgument)
    if piece.formula is not None and piece.formula.known:
        return write_literal(piece.formula.number)
    text, value = given[piece.index].text, given[piece.index].value
    if piece.element is not None:
        known = value.elements[piece.element] if value.elements is not None else Value()
        text = write_literal(known.literal) if known.known else f"{text}[{piece.element}]"  # type: ignore[arg-type]
        value = known
    if piece.conversion is Conversion.NONE:
        return text
    known_number = value.known and isinstance(value.literal, bool | int | float)
    return write_literal(convert(value.literal, piece.conversion)) if known_number else f"{piece.conversion}({text})"  # type: ignore[arg-type]

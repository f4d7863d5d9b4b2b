"""One schedule call: resolve it, and turn the answer into a change or a reason against it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from optmap.diagnostics import API_NOTE, DEPRECATED_TARGET, SCHEDULE_FUNCTION
from optmap.mapping.canonical import Context, attached
from optmap.mapping.derive import candidates, plans
from optmap.mapping.formula import Op
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import FromArgument, Inferred, Plan, Prefer, choose
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, literal_value, read_value
from optmap.mapping.vocabulary import Accepts
from optmap.source.calls import CallText, Form, comments_in, read_call
from optmap.source.changes import Change, Replace
from optmap.source.model import Module
from optmap.source.text import Source, SourceError
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call
from optmap.translate.constructors.spelling import NewImport, spell
from optmap.translate.constructors.template import call_template
from optmap.translate.discover.sites import CallSite, bind_to
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.schedules.arithmetic import is_arithmetic
from optmap.translate.schedules.counters import Miscount
from optmap.translate.schedules.owners import Ownership
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_CALLED: Final = frozenset(("min", "max", "sum", "len", "float", "bool"))
"""Builtins that formulas and conversions call."""


Taken: TypeAlias = Mapping[tuple[int, str], str]
"""The optimizer that each new name of a schedule belongs to, by the id of the scope's node and the name."""


class TranslatedSchedule(NamedTuple):
    """A translated schedule call; `moves` unless it stays where it is, and `names` are new names for it."""

    site: CallSite
    target: Api
    changes: tuple[Change, ...]
    needed: tuple[NewImport, ...]
    findings: tuple[Finding, ...]
    moves: bool = True
    names: Taken = {}


class BoundSchedule(NamedTuple):
    """A schedule call with what is known of its arguments."""

    site: CallSite
    call: CallText
    values: list[Value]
    arguments: list[CallArgument]


def context_of(options: Options) -> Context:
    """The quantities that the user gave."""
    return Context({name: literal_value(number) for name, number in options.quantities})


def read_schedule(source: Source, site: CallSite) -> BoundSchedule | str:
    """Read a schedule call; a clause that says why where it cannot be."""
    try:
        call = read_call(source, site.node)
    except SourceError as error:
        return error.message
    module = Module.of(source)
    values = [read_value(item.node, lambda node: module.reaching(node).values) for item in call.arguments]
    gone = {row.name for row in site.api.parameters if row.execution and row.name not in site.api.by_name}
    arguments = [
        CallArgument(Form.EMPTY if item.name in gone else item.form, item.name, value)
        for item, value in zip(call.arguments, values, strict=True)
    ]
    bound = BoundSchedule(site, call, values, arguments)
    return _whole_rate(bound) or bound


def _whole_rate(bound: BoundSchedule) -> str | None:
    """Say which argument is an int where that makes a framework compute with integers, or stop; None where none is."""
    found = bind_to(bound.site.api, bound.call.arguments).given.values()
    for item in found:
        value = bound.values[item.index] if item.index is not None else Value()
        if item.parameter.accepts is Accepts.FLOAT and value.known and type(value.literal) is int:
            name = f"{bound.site.api.name} accepts {item.parameter.name}"
            return f"{name} only as a float, found {value.literal}: write {float(value.literal)}"
    return None


def translate_schedule(unit: Unit, ownership: Ownership, site: CallSite) -> TranslatedSchedule | str:
    """Translate a schedule call; a clause that says why where it cannot be."""
    source, tables, target = unit.source, unit.tables, unit.options.target
    bound = read_schedule(source, site)
    if isinstance(bound, str):
        return bound
    given = bind_call(site.api, bound.arguments)
    if isinstance(given, Refusal):
        return "; ".join(reason.message for reason in given.reasons)
    attach = attached(site.api)
    classes = candidates(tables, site.api, target, attach=attach)
    if not classes:
        return no_counterpart(tables, site.api, target, attach)
    found = plans(tables, site.api, given, classes, known=context_of(unit.options))
    plan = choose(found, Prefer.DOCUMENTED)
    if plan is None:
        return "; ".join(dict.fromkeys(_problem_text(problem.message, problem.remedy) for problem in found[0].problems))
    miscount = uncounted(ownership, site)
    reason = miscount.reason if miscount is not None else _unsafe(source, ownership.module, bound, plan)
    if reason is not None:
        return reason
    spelling = spell(site, plan.target)
    if spelling is None:
        return no_name(plan.target)
    change = Replace(site.node, call_template(source, bound.call, bound.values, plan, spelling.text, None))
    needed = (spelling.needs,) if spelling.needs is not None else ()
    findings = tuple(_findings(ownership.module, bound, plan))
    return TranslatedSchedule(site, plan.target, (change,), needed, findings, moves=False)


def shadowed(module: Module, text: str, at: Sequence[CallSite]) -> str | None:
    """Say which builtin that a new text calls means something else at one of the calls; None where none does."""
    nodes = [node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Call)]
    called = sorted({node.func.id for node in nodes if isinstance(node.func, ast.Name)} & _CALLED)
    name = next((item for item in called if any(not module.is_builtin(item, site.node) for site in at)), None)
    return f"the builtin {name} is needed, but the file binds that name to something else" if name is not None else None


def no_name(api: Api) -> str:
    """Say that the file leaves no name for the package of a class."""
    return f"the file binds {api.module.paths[0].partition('.')[0]!r} to something else"


def no_counterpart(tables: MappingSet, api: Api, target: Framework, attach: bool) -> str:
    """Say that the target has no such schedule, and what to do."""
    how = "that is attached to an optimizer" if attach else "that is passed as a learning rate"
    advice = (tables.instead(api, target) or "").partition("\n")[0]
    return f"{api.name} has no counterpart in {target} {how}" + (f"; {advice}" if advice else "")


def _problem_text(message: str, remedy: str | None) -> str:
    return f"{message}; {' '.join(remedy.split())}" if remedy else message


def uncounted(ownership: Ownership, site: CallSite) -> Miscount | None:
    """TensorFlow 1 counts the steps in a variable that the file has to hand to the optimizer; others count by themselves."""
    parameter = site.api.by_tie.get("global_step")
    counter = site.given(parameter.name) if parameter is not None else None
    return ownership.counters.miscounted(counter, ownership.find(site).optimizers) if counter is not None else None


def _unsafe(source: Source, module: Module, bound: BoundSchedule, plan: Plan) -> str | None:
    """Refuse edits that would lose a comment, an effect, or the meaning of a builtin."""
    if comments_in(source, bound.call.callee.start, bound.call.callee.end):
        return "there is a comment inside the name of the schedule"
    for item in plan.dropped:
        node = bound.call.arguments[item.index].node
        if any(isinstance(inner, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for inner in ast.walk(node)):
            return f"{item.parameter.name} would be dropped, but it assigns or awaits"
    called = sorted(_called(bound, plan) & _CALLED)
    return shadowed(module, ", ".join(f"{name}(0)" for name in called), [bound.site]) if called else None


def _called(bound: BoundSchedule, plan: Plan) -> set[str]:
    """The functions that new arguments call, to convert what is not known."""
    pieces = [piece for argument in plan.arguments for piece in argument.pieces if not isinstance(piece, Inferred)]
    formulas = [piece.formula for piece in pieces if piece.formula is not None]
    found = {node.name for formula in formulas for node in formula.nodes() if node.op is Op.CALL}
    copied = [piece for piece in pieces if isinstance(piece, FromArgument) and not bound.values[piece.index].known]
    return found | {str(piece.conversion) for piece in copied}


def _findings(module: Module, bound: BoundSchedule, plan: Plan) -> list[Finding]:
    target, call = plan.target, bound.site.node
    found = []
    if target.deprecated:
        message = f"{target.name} is deprecated {target.deprecated}"
        found.append(Finding(DEPRECATED_TARGET, message, call, str(target.at)))
    if target.note:
        found.append(Finding(API_NOTE, f"{target.name}: {target.note}", call, str(target.at)))
    given = target.framework.facts.schedules.given
    if given is not None:
        for name in ("lr_lambda", "scale_fn"):
            node = next((item.node for item in bound.call.arguments if item.name == name), None)
            if node is None and name == "lr_lambda" and target.by_name.get(name) and len(bound.call.arguments) > 1:
                node = bound.call.arguments[1].node
            if node is not None and not is_arithmetic(module, node):
                message = (
                    f"{target.framework.facts.title} calls {name} with {given}: write int(...) where an int is needed"
                )
                found.append(Finding(SCHEDULE_FUNCTION, message, node, str(target.at)))
    return found

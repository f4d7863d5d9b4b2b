"""One schedule call: resolve it, and turn the answer into a change or a reason against it."""

from __future__ import annotations

import ast
from typing import Final, NamedTuple

from optmap.diagnostics import API_NOTE, DEPRECATED_TARGET, SCHEDULE_FUNCTION
from optmap.mapping.canonical import Context, attached
from optmap.mapping.derive import candidates, plans
from optmap.mapping.model import Accepts, Api, Framework, MappingSet
from optmap.mapping.plan import FromArgument, Plan, choose
from optmap.mapping.values import Value, literal_value, read_value
from optmap.source.calls import CallText, Form, comments_in, read_call
from optmap.source.changes import Change, Replace
from optmap.source.text import Source, SourceError
from optmap.translate.constructors.resolve import CallArgument, Refusal, bind_call
from optmap.translate.constructors.rewrite import call_template
from optmap.translate.constructors.spelling import NewImport, spell
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options

_COUNTERS: Final = ("get_global_step", "get_or_create_global_step")
_EXACT: Final = ("min", "max", "abs", "float", "int", "round", "pow")
"""Builtins that take a tensor of one element for a number."""


class TranslatedSchedule(NamedTuple):
    """A translated schedule call; `moves` unless it stays where it is."""

    site: CallSite
    target: Api
    changes: tuple[Change, ...]
    needed: tuple[NewImport, ...]
    findings: tuple[Finding, ...]
    moves: bool = True


class Bound(NamedTuple):
    """A schedule call with what is known of its arguments."""

    site: CallSite
    call: CallText
    values: list[Value]
    arguments: list[CallArgument]


def context_of(options: Options) -> Context:
    """The quantities that the user gave."""
    return Context({name: literal_value(number) for name, number in options.quantities})


def read_schedule(source: Source, site: CallSite) -> Bound | str:
    """Read a schedule call; a clause that says why where it cannot be."""
    try:
        call = read_call(source, site.node)
    except SourceError as error:
        return error.message
    values = [read_value(item.node) for item in call.arguments]
    gone = {row.name for row in site.api.parameters if row.execution and row.name not in site.api.by_name}
    arguments = [
        CallArgument(Form.EMPTY if item.name in gone else item.form, item.name, value)
        for item, value in zip(call.arguments, values, strict=True)
    ]
    return Bound(site, call, values, arguments)


def translate_schedule(
    source: Source, sites: Sites, site: CallSite, tables: MappingSet, options: Options
) -> TranslatedSchedule | str:
    """Translate a schedule call; a clause that says why where it cannot be."""
    bound = read_schedule(source, site)
    if isinstance(bound, str):
        return bound
    given = bind_call(site.api, bound.arguments)
    if isinstance(given, Refusal):
        return "; ".join(reason.message for reason in given.reasons)
    attach = attached(site.api)
    classes = candidates(tables, site.api, options.target, attach=attach)
    if not classes:
        return no_counterpart(tables, site.api, options.target, attach)
    found = plans(tables, site.api, given, classes, known=context_of(options))
    plan = choose(found, faithful=False)
    if plan is None:
        return "; ".join(dict.fromkeys(_problem_text(problem.message, problem.remedy) for problem in found[0].problems))
    reason = uncounted(source, bound) or _unsafe(source, bound, plan)
    if reason is not None:
        return reason
    spelling = spell(site, plan.target)
    if spelling is None:
        return f"the file binds {plan.target.module.paths[0].partition('.')[0]!r} to something else"
    change = Replace(site.node, call_template(source, bound.call, bound.values, plan, spelling.text, None))
    needed = (spelling.needs,) if spelling.needs is not None else ()
    return TranslatedSchedule(site, plan.target, (change,), needed, tuple(_findings(bound, plan)), moves=False)


def no_counterpart(tables: MappingSet, api: Api, target: Framework, attach: bool) -> str:
    """Say that the target has no such schedule, and what to do."""
    how = "that is attached to an optimizer" if attach else "that is passed as a learning rate"
    advice = tables.instead(api, target)
    return f"{api.name} has no counterpart in {target} {how}" + (f"; {advice}" if advice else "")


def _problem_text(message: str, remedy: str | None) -> str:
    return f"{message}; {remedy}" if remedy else message


def uncounted(source: Source, bound: Bound) -> str | None:
    """TensorFlow 1 counts the steps in a variable that the file has to hand to the optimizer; others count by themselves."""
    parameter = bound.site.api.by_tie.get("global_step")
    if parameter is None:
        return None
    positional = [item.name for item in bound.site.api.current]
    names = [item.name or positional[place] for place, item in enumerate(bound.call.arguments)]
    counter = bound.call.arguments[names.index(parameter.name)].node
    wanted = _counter_text(counter)
    for node in source.nodes:
        method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        if isinstance(node, ast.Call) and method in ("minimize", "apply_gradients"):
            found = [item.value for item in node.keywords if item.arg == "global_step"] or node.args[1:2]
            if any(_counter_text(item) == wanted for item in found):
                return None
    return f"the file does not show that {ast.unparse(counter)} counts the optimizer's steps (minimize(..., global_step=...))"


def _counter_text(node: ast.expr) -> str:
    name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return _COUNTERS[0] if name in _COUNTERS else ast.unparse(node)


def _unsafe(source: Source, bound: Bound, plan: Plan) -> str | None:
    """Edits that would lose a comment or an effect are refused."""
    if comments_in(source, bound.call.callee.start, bound.call.callee.end):
        return "there is a comment inside the name of the schedule"
    for argument in plan.arguments:
        piece = argument.pieces[0]
        if argument.parameter.accepts is Accepts.INT and isinstance(piece, FromArgument):
            leaves = piece.formula.arguments() if piece.formula is not None else []
            indices = {piece.index, *(leaf.index for leaf in leaves)}
            if any(
                _is_quotient(bound.call.arguments[index].node) for index in indices if not bound.values[index].known
            ):
                name = argument.parameter.name
                return f"{plan.target.name} accepts {name} only as an int, found an expression that gives a float"
    for item in plan.dropped:
        node = bound.call.arguments[item.index].node
        if any(isinstance(inner, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for inner in ast.walk(node)):
            return f"{item.parameter.name} would be dropped, but it assigns or awaits"
    return None


def _is_quotient(node: ast.expr) -> bool:
    """Tell whether an expression divides, or asks for a float."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) or _is_quotient(node.left) or _is_quotient(node.right)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"


def _findings(bound: Bound, plan: Plan) -> list[Finding]:
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
            if node is not None and not _is_arithmetic(node):
                message = f"{target.name} calls {name} with {given}, {bound.site.api.name} with an int"
                found.append(Finding(SCHEDULE_FUNCTION, message, node, str(target.at)))
    return found


def _is_arithmetic(node: ast.expr) -> bool:
    """Tell whether a function only does with its argument what a tensor of one element can do as well."""
    if isinstance(node, ast.Constant) and node.value is None:
        return True
    if isinstance(node, ast.List | ast.Tuple):
        return all(map(_is_arithmetic, node.elts))
    if not isinstance(node, ast.Lambda):
        return False
    names = {item.arg for item in node.args.args}
    for inner in ast.walk(node.body):
        if isinstance(inner, ast.Subscript | ast.JoinedStr | ast.Lambda | ast.comprehension):
            return False
        if isinstance(inner, ast.Call):
            module = inner.func.value if isinstance(inner.func, ast.Attribute) else None
            is_math = isinstance(module, ast.Name) and module.id == "math"
            builtin = isinstance(inner.func, ast.Name) and inner.func.id in _EXACT
            uses = any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(inner))
            if uses and not is_math and not builtin:
                return False
    return True

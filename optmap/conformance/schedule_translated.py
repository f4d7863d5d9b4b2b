"""The translator's result for one schedule: a small program is translated, and the calls are read from its output."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from optmap.conformance.scenario import Code
from optmap.diagnostics import Severity
from optmap.mapping.canonical import PACE, attached
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.values import read_value, write_literal
from optmap.mapping.vocabulary import OPTIMIZER, PARAMETERS
from optmap.source.model import Module
from optmap.source.text import read_source
from optmap.translate.discover.sites import bind_to
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult

_OWNER: Final = "sgd"
"""The algorithm of the optimizer that the schedule belongs to."""
_EVERY_STEP: Final = "for x in loader:\n    opt.step()\n    scheduler.step()\n"
_EVERY_EPOCH: Final = "for epoch in epochs:\n    for x in loader:\n        opt.step()\n    scheduler.step()\n"


class Translated(NamedTuple):
    """The call of the target. The optimizer's own rate and the pace of step() hold for whichever side is attached."""

    target: Api
    arguments: dict[str, Any]
    learning_rate: float
    pace: int


def translated(
    tables: MappingSet, schedules: MappingSet, source: Api, given: Mapping[str, Any], target: Framework, rate: float, pace: int,
    quantities: Mapping[str, int],
) -> Translated | tuple[str, ...]:  # fmt: skip
    """Translate the call; returns the translator's reasons where it refuses.

    A schedule whose place changes, and which changes the rate within an epoch there, is stepped at every step instead.
    """
    reasons: tuple[str, ...] = ()
    for every in dict.fromkeys((pace, 1)) if attached(source) else (1,):
        known = {**quantities, PACE: every} if attached(source) else quantities
        options = Options(target, frozenset({source.framework}), params="weights", quantities=tuple(known.items()))
        result = translate_bytes(_program(tables, source, given, rate, every).encode(), tables, options)
        code = {name for name, value in given.items() if isinstance(value, Code)}
        found = _read(schedules, result, target, rate, every, code)
        if found is not None:
            return found
        errors = (item.message for item in result.diagnostics if item.code.severity is Severity.ERROR)
        reasons = reasons or tuple(errors)
    return reasons


def _program(tables: MappingSet, source: Api, given: Mapping[str, Any], rate: float, pace: int) -> str:
    """A training whose optimizer has the schedule."""
    owner = next(api for api in tables.algorithms[_OWNER].apis if api.module.name in source.module.serves)
    leads = {OPTIMIZER: "opt", "global_step": "step"}
    parts = [f"{row.name}={leads[row.ties[0]]}" for row in source.current if row.ties and row.ties[0] in leads]
    parts += [f"{name}={_written(value)}" for name, value in given.items()]
    schedule = f"{source.name}({', '.join(parts)})"
    trained = "weights, " if PARAMETERS in owner.by_tie and owner.by_tie[PARAMETERS].required else ""
    lr = owner.by_tie["learning_rate"].name
    root = source.name.partition(".")[0]
    package = tables.conventional.get(root, root)
    lines = f"import {package} as {root}\n" if package != root else f"import {root}\n"
    if "global_step" in source.by_tie:
        lines += "step = tf.compat.v1.train.get_or_create_global_step()\n"
    lines += f"opt = {owner.name}({trained}{lr}={rate if attached(source) else schedule})\n"
    if attached(source):
        return f"{lines}scheduler = {schedule}\n{_EVERY_STEP if pace == 1 else _EVERY_EPOCH}"
    return f"{lines}opt.minimize(loss, global_step=step)\n"


def _written(value: Any) -> str:
    if isinstance(value, Code):
        return value
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list | tuple) else write_literal(value)


def _read(
    schedules: MappingSet, result: FileResult, target: Framework, rate: float, pace: int, code: set[str]
) -> Translated | None:
    """The schedule of the target in a translated program, and the rate of an optimizer that it is attached to.

    `code` are the arguments that were code.
    """
    module = Module.of(read_source(result.output))
    calls = module.nodes(ast.Call)
    made = ((schedules.api_at(path), call) for call in calls for path in module.paths(call.func) if path is not None)
    api, written = next((pair for pair in made if pair[0] is not None), (None, None))
    if api is None or written is None or api.framework is not target:
        return None
    given = bind_to(api, written).given.items()
    arguments = {name: item.value for name, item in given if item.index is not None and name != OPTIMIZER}
    values = {name: read_value(node).literal for name, node in arguments.items()}
    texts = {
        name: Code(_text(node, module))
        for name, node in arguments.items()
        if isinstance(node, ast.Lambda) or name in code
    }
    return Translated(api, {**values, **texts}, _first(calls, rate), pace)


def _text(node: ast.expr, module: Module) -> str:
    """A function as it is written, or a list of calls with the full paths of what is called."""
    if not isinstance(node, ast.List):
        return ast.unparse(node)
    calls = [item for item in node.elts if isinstance(item, ast.Call)]
    paths = {ast.unparse(call.func): min(filter(None, module.paths(call.func))) for call in calls}
    shown = (ast.unparse(call).replace(name := ast.unparse(call.func), paths[name], 1) for call in calls)
    return f"[{', '.join(shown)}]"


def _first(calls: Iterable[ast.Call], rate: float) -> float:
    """The number that the optimizer's call gives as learning rate."""
    for call in calls:
        for item in call.keywords:
            value = read_value(item.value).literal
            if item.arg == "lr" and isinstance(value, int | float):
                return float(value)
    return rate

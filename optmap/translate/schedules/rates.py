"""A learning rate for each step, which MindSpore's optimizers take as a list, attached behind an optimizer's statement.

The optimizer gets the rate 1.0, and a LambdaLR multiplies it with the rate of the step. Where the rates are a number after all,
indexing them raises TypeError as soon as the LambdaLR is made: no other meaning than this one ever trains.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

from optmap.diagnostics import SCHEDULE_STEPS
from optmap.mapping.frameworks import fill
from optmap.source.calls import comments_in
from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.edits import has_own_lines
from optmap.source.layout import one_or_three_lines
from optmap.source.model import How, Module
from optmap.source.templates import Template, copied, template
from optmap.source.text import Source
from optmap.translate.constructors.learning_rate import RateKind, learning_rate_object
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.schedules.attach import SchedulePlace, place_of
from optmap.translate.schedules.owners import rate_node
from optmap.translate.schedules.rate_sort import RateSort, RateSorts
from optmap.translate.schedules.stability import Stability
from optmap.translate.schedules.translate import Taken, shadowed
from optmap.translate.unit import Unit
from optmap.values import NamedTuple

_EFFECTS: Final = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_ATOMS: Final = (ast.Name, ast.Attribute, ast.Call)


class _TakenError(Exception):
    """The file binds the name of a package to something else."""


class Attached(NamedTuple):
    """What becomes of a learning rate: `value` is what the call gets in its place.

    `gone` are references that go away, `names` new names for what steps it.
    """

    value: Template
    changes: tuple[Change, ...]
    gone: tuple[ast.expr, ...]
    needed: tuple[NewImport, ...] = ()
    findings: tuple[Finding, ...] = ()
    names: Mapping[tuple[int, str], str] = {}


def unmovable(source: Source, node: ast.expr, place: SchedulePlace) -> str | None:
    """Why an argument must not be evaluated behind the optimizer's statement rather than in it."""
    inside = list(ast.walk(node))
    moved = any(isinstance(item, _EFFECTS) for item in inside)
    if moved or comments_in(source, source.start(node), source.end(node)):
        return "it cannot be moved behind the optimizer; bind it to a name first and pass the name"
    if any(isinstance(item, ast.Name | ast.Attribute) and ast.unparse(item) == place.optimizer for item in inside):
        return f"{place.optimizer} is another object behind the call"
    return None


def attach_rates(unit: Unit, site: CallSite, node: ast.expr, taken: Taken) -> Attached | str | None:
    """What becomes of an optimizer's learning rate that holds one for each step, or a number in a tensor.

    A clause that says why it must stay; None where it is not known to be such. Other schedules have the names in `taken`.
    """
    return _Rates(unit, site).attached(node, taken)


class _Rates:
    def __init__(self, unit: Unit, site: CallSite) -> None:
        self.source = unit.source
        self.site = site
        self.module: Module = site.module
        self.tables = unit.tables
        self.target = unit.options.target
        self.facts = site.api.framework.facts.rates
        self.others = frozenset(id(rate_node(other)) for other in unit.sites.calls)
        self.sorts = RateSorts(site, unit.tables)

    def attached(self, node: ast.expr, taken: Taken) -> Attached | str | None:
        held = self.sorts.held(node)
        sort = self.sorts.sort(node)
        if sort is RateSort.NUMBER and held is not None:
            return Attached(copied(held), (), self._around(node))
        if sort in (None, RateSort.NUMBER) or self.target.facts.schedules.only != "attached":
            return None
        place = place_of(self.source, self.module, self.site, taken)
        reason = place if isinstance(place, str) else unmovable(self.source, node, place)
        reason = reason or shadowed(self.module, "float(min(0, len(0)))", [self.site])
        if isinstance(place, str) or reason is not None:
            return reason
        needed: dict[NewImport, None] = {}
        path = self.target.facts.schedules.function or ""
        try:
            return self._written(node, sort, held, place, path, needed)
        except _TakenError as error:
            return f"the file binds {error.args[0]!r} to something else"

    def _spelled(self, path: str, node: ast.expr, needed: dict[NewImport, None]) -> str:
        root = path.partition(".")[0]
        spelling = spell_path(self.module, path, root, node)
        if spelling is None:
            raise _TakenError(root)
        needed |= {spelling.needs: None} if spelling.needs is not None else {}
        return spelling.text

    def _written(
        self, node: ast.expr, sort: RateSort | None, held: ast.expr | None, place: SchedulePlace, path: str,
        needed: dict[NewImport, None],
    ) -> Attached:  # fmt: skip
        rates = node if held is None else held
        freed, gone = self._freed(node)
        head, name = self._head(rates, sort, freed, needed)
        value = f"{name}[min(step, len({name}) - 1)]"
        if sort is RateSort.SCHEDULE:
            value = f"{name}({self._step(node, needed)})"
        own = f"{place.scheduler} = {self._spelled(path, node, needed)}"
        room = len(ast.unparse(rates)) - len("$rates") if "$rates" in head else 0
        inside = f"{place.optimizer}, {head}: float({value})"
        behind = template(one_or_three_lines(self.source, place.statement, own, inside, room), rates=rates)
        message = f"call {place.scheduler}.step() after every step of {place.optimizer}: it changes the rate"
        return Attached(
            Template("1.0"),
            (Insert(place.statement, Where.AFTER, behind), *freed),
            gone if held is None else self._around(node),
            tuple(needed),
            (Finding(SCHEDULE_STEPS, message, self.site.node),),
            {(id(place.scope), place.scheduler): place.optimizer},
        )

    def _head(
        self, rates: ast.expr, sort: RateSort | None, freed: tuple[Change, ...], needed: dict[NewImport, None]
    ) -> tuple[str, str]:
        """How the function of the step begins, and what it calls the rates: a name of the file where that lasts."""
        what = learning_rate_object(self.site, rates, self.tables) if not freed else None
        tensor = what is not None and what.kind is RateKind.FRAMEWORK_VALUE
        if sort is RateSort.EITHER:
            return f"lambda step, rates={self._spelled('numpy.ravel', rates, needed)}($rates)", "rates"
        unstable = Stability(self.module).unstable(self.site, [rates], [self.site])
        if isinstance(rates, ast.Name) and unstable is None and not tensor:
            return "lambda step", rates.id
        name = "rates" if sort is RateSort.RATES else "rate"
        array = self.facts.array if tensor else None
        slot = fill(array, tensor="$rates" if isinstance(rates, _ATOMS) else "($rates)") if array else "$rates"
        return f"lambda step, {name}={slot}", name

    def _step(self, node: ast.expr, needed: dict[NewImport, None]) -> str:
        """The step as a schedule of the user's own is called with it."""
        paths = re.compile(rf"\b(?:{'|'.join(self.site.api.framework.facts.packages)})(?:\.\w+)+")
        spelled = paths.sub(lambda path: self._spelled(path[0], node, needed), self.facts.called)
        return fill(spelled, step="step")

    # The tensor that nothing needs any more

    def _around(self, node: ast.expr) -> tuple[ast.expr, ...]:
        """The references that go with a tensor."""
        assert isinstance(node, ast.Call)
        return (node.func, *node.args[1:], *(item.value for item in node.keywords))

    def _freed(self, node: ast.expr) -> tuple[tuple[Change, ...], tuple[ast.expr, ...]]:
        """Take the tensor away in `rates = Tensor(x)` where nothing but learning rates reads it, and what goes with it."""
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        made: list[Change] = []
        gone: list[ast.expr] = []
        for binding in self.module.in_force(variable, node) if variable is not None else ():
            value = binding.value if binding.how is How.ASSIGNED else None
            held = self.sorts.held(value) if value is not None else None
            assert variable is not None
            used = self.module.uses_of(variable, binding)
            if value is None or held is None:
                continue
            if not all(id(use) in self.others for use in used):
                return (), ()
            statement = self.module.statement(value)
            target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
            same = target is not None and ast.unparse(held) == ast.unparse(target)
            alone = has_own_lines(self.source, statement) and len(self.module.block(statement)[0]) > 1
            made.append(Delete(statement) if same and alone else Replace(value, copied(held)))
            gone += self._around(value)
        return tuple(made), tuple(gone)

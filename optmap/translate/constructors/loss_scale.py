"""A loss scale by which an optimizer divides the gradients, where the target's optimizers have none.

It is taken away together with what multiplies the loss by it, if everything in the file that trains with the optimizer shows the
same scale. Elsewhere a hook divides the gradients, whether anything multiplies the loss or not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.diagnostics import LOSS_SCALING
from optmap.mapping.frameworks import fill
from optmap.mapping.versions import key
from optmap.source.bind import bind, signature_of
from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.edits import has_own_lines
from optmap.source.model import How, Module
from optmap.source.syntax import argument_values, called, chain_of
from optmap.source.templates import Template, template
from optmap.translate.discover.flow import places_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.schedules.attach import place_of
from optmap.translate.schedules.rates import unmovable
from optmap.translate.schedules.translate import Taken
from optmap.translate.unit import Bond, Member, Unit, Vetoes
from optmap.values import NamedTuple

_LOOKS: Final = ("print", "isinstance", "len", "type", "id", "str", "hasattr", "getattr")
_DEEP: Final = 10
_SCALES: Final = ("sens", "scale")
"""What the names of attributes hold that are loss scales."""


class Unscaled(NamedTuple):
    """What becomes of the scale in a file; `gone` are references that go away, `names` new names.

    With `taken` nothing multiplies the loss any more.
    """

    changes: tuple[Change, ...]
    gone: tuple[ast.expr, ...]
    finding: Finding
    taken: bool = True
    names: Taken = {}


def member(site: CallSite) -> Member:
    """What is vetoed where the scale of another optimizer of the file has to stay."""
    return id(site.node), "the loss scale"


def gives_scale(site: CallSite) -> bool:
    """Tell whether an optimizer is given a loss scale that may do something."""
    value = site.given("loss_scale")
    return value is not None and not (isinstance(value, ast.Constant) and value.value == 1)


def bond(site: CallSite, others: Sequence[CallSite]) -> Bond:
    """The scale of a file goes from all of its optimizers, or from none."""
    return Bond(member(site), tuple(item.node for item in others), "the loss scale of the call on line {line} stays")


def unscaled(unit: Unit, site: CallSite, scale: ast.expr, taken: Taken, vetoes: Vetoes) -> Unscaled | str:
    """Take a scale away with what multiplies the loss by it, or divide by it; a clause that says why neither can be."""
    veto = vetoes.get(member(site))
    found = _Scale(site, scale).found() if veto is None else veto.reason
    return _hooked(unit, site, scale, taken, found) if isinstance(found, str) else found


def _hooked(unit: Unit, site: CallSite, scale: ast.expr, taken: Taken, why: str) -> Unscaled | str:
    """Have a hook divide the gradients before each step."""
    facts = unit.options.target.facts
    version = dict(unit.options.versions).get(facts.packages[0])
    if facts.scaling.divided is None or (version is not None and key(version) < key(facts.scaling.since)):
        return why
    place = place_of(unit.source, site.module, site, taken, "unscale")
    reason = place if isinstance(place, str) else unmovable(unit.source, scale, place)
    if isinstance(place, str) or reason is not None:
        return f"{why}, and {reason}"
    name = place.scheduler.rpartition(".")[2]
    apart = "\n\n" if site.module.parent(place.statement) is site.module.tree else "\n"
    lines = fill(facts.scaling.divided, name=name, optimizer=place.optimizer)
    text = apart + lines.replace("\n\n", f"\n{apart}")
    shown = ast.unparse(scale)
    message = f"the gradients are divided by {shown} in a hook before each step: go on multiplying the loss by it"
    change = Insert(place.statement, Where.AFTER, template(text, scale=scale))
    names = {(id(place.scope), place.scheduler): place.optimizer}
    own = site.api.framework.facts.scaling.managers
    managers = (item.func for item in site.module.nodes(ast.Call) if not site.module.paths(item.func).isdisjoint(own))
    detail = f"{facts.title} has no loss scale, and {why}"
    said = Finding(LOSS_SCALING, message, site.node, detail=detail, covers=frozenset(map(id, managers)))
    return Unscaled((change,), (), said, False, names)


class _Scale:
    def __init__(self, site: CallSite, scale: ast.expr) -> None:
        self.site = site
        self.module: Module = site.module
        self.text = ast.unparse(scale)
        self.facts = site.api.framework.facts.scaling
        self.own = self._form(scale)
        self.changes: dict[Change, None] = {}
        self.gone: list[ast.expr] = []
        self.where: dict[int, str] = {}

    def found(self) -> Unscaled | str:
        if self.own is None:
            return f"the file does not show that {self.text} also multiplies the loss"
        places = [place for place, _ in places_of(self.module, [self.site.node]).values()]
        scaling = {call for place in places if (call := self._taking(place)) is not None and self._scales(call)}
        classes = {self.module.definition(call.func) for call in scaling} | set(self._attributes())
        for place in places:
            call, inside = self._taking(place), self.module.class_of(place)
            if inside is not None and inside in classes:
                continue
            outer = self.module.parent(place)
            if call is None and isinstance(outer, ast.Call) and outer is not self.site.node:
                return f"line {outer.lineno} trains with gradients that nothing multiplies by {self.text}"
            followed = call is None or self.module.definition(call.func) is not None or called(call) in _LOOKS
            if call not in scaling and not followed:
                return f"line {call.lineno if call else 0} does not show a scale of the loss that could be taken away with it"
        if not self.where:
            return f"nothing in this file multiplies the loss by {self.text}"
        return Unscaled(tuple(self.changes), tuple(self.gone), Finding(LOSS_SCALING, self._message(), self.site.node))

    def _message(self) -> str:
        where = " and ".join(f"{name} on line {line}" for line, name in sorted(self.where.items()))
        return f"the loss scale {self.text} went, with {where}: do not multiply the loss by it"

    def _taking(self, place: ast.expr) -> ast.Call | None:
        """The call that takes the optimizer as an argument."""
        return self.module.call_with(place)

    def _scales(self, call: ast.Call) -> bool:
        """Tell whether a call is also given the scale, or what multiplies the loss by it; note what goes there."""
        paths = self.module.paths(call.func)
        if not paths.isdisjoint(self.facts.dividing) or "LossScale" in called(call):
            return False
        for keyword in call.keywords:
            if keyword.arg is not None and (managers := self._managers(keyword.value)):
                return self._without(keyword, managers)
        given = next((value for value in argument_values(call) if self._form(value) == self.own), None)
        if given is None:
            return False
        self.changes[Replace(given, Template("1.0"))] = None
        self.where[given.lineno] = f"the one that {ast.unparse(call.func)} takes"
        return True

    def _managers(self, node: ast.expr) -> list[ast.Call]:
        """The managers that an expression holds, if all of them multiply by the very scale and do not divide by it."""
        found = []
        for value in self.module.reaching(node).values:
            if not isinstance(value, ast.Call) or self.module.paths(value.func).isdisjoint(self.facts.managers):
                return []
            bound = bind(signature_of(", ".join(self.facts.takes)), value)
            scale, divides = (bound.get(name) for name in self.facts.takes)
            shown = divides.value if divides is not None else None
            plain = isinstance(shown, ast.Constant) and shown.value is False
            if scale is None or self._form(scale.value) != self.own or not plain:
                return []
            found.append(value)
        return found

    def _without(self, keyword: ast.keyword, managers: Sequence[ast.Call]) -> bool:
        """Take away what a trainer is given as its manager, with the statements that make it; False where more needs these."""
        gone: dict[Change, None] = {Delete(keyword): None}
        for manager in managers:
            variable, statement = self.module.holder(manager), self.module.statement(manager)
            if manager is not keyword.value:
                alone = len(self.module.block(statement)[0]) > 1 and has_own_lines(self.site.module.source, statement)
                only = variable is not None and len(variable.chain) == 1 and variable.uses == (keyword.value,)
                if not (alone and only and isinstance(statement, ast.Assign)):
                    return False
                gone[Delete(statement)] = None
        self.changes |= gone
        self.gone += [manager.func for manager in managers]
        self.where |= {manager.lineno: called(manager) for manager in managers}
        return True

    def _attributes(self) -> Iterator[ast.ClassDef]:
        """The class around the call, if it keeps the same scale in an attribute that its methods read."""
        owner = self.module.class_of(self.site.node)
        for statement in ast.walk(owner) if owner is not None else ():
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Attribute) or owner is None:
                continue
            variable = self.module.variable(target)
            scale = any(word in target.attr for word in _SCALES)
            if scale and variable is not None and variable.uses and self._form(statement.value) == self.own:
                self.changes[Replace(statement.value, Template("1.0"))] = None
                self.where[statement.lineno] = ast.unparse(target)
                yield owner

    def _form(self, node: ast.expr) -> object:
        """What two expressions share that surely have one value; None for what may change from place to place."""
        for _ in range(_DEEP):
            if isinstance(node, ast.Call) and called(node) == "float" and len(node.args) == 1 and not node.keywords:
                node = node.args[0]
            elif isinstance(node, ast.Constant):
                return node.value if isinstance(node.value, int | float) else None
            elif isinstance(node, ast.Name):
                variable = self.module.variable(node)
                if variable is None:
                    return node.id
                bindings = self.module.in_force(variable, node)
                value = bindings[0].value if len(bindings) == 1 and bindings[0].how is How.ASSIGNED else None
                if value is None:
                    return variable, frozenset(id(item.target) for item in bindings)
                node = value
            else:
                return self._setting(node)
        return None

    def _setting(self, node: ast.expr) -> object:
        """`config.loss_scale`, if the file assigns it nowhere, or once in a constructor."""
        chain = chain_of(node)
        if chain is None or not isinstance(node, ast.Attribute):
            return None
        set_here = [item for item in self.module.attributes(node.attr) if not isinstance(item.ctx, ast.Load)]
        return chain if not set_here else None

"""What --todo leaves open in a call that is translated: `...`, on which the constructor or the first step fails."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Final

from optmap.diagnostics import SCHEDULE_ARGUMENT, UNSUPPORTED_ARGUMENT
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, group_ties
from optmap.source.calls import Argument, CallText, Form
from optmap.source.changes import Change, Replace
from optmap.source.model import Module
from optmap.source.syntax import inner
from optmap.source.templates import CallTemplate, NewArgument, Template
from optmap.source.text import Source
from optmap.translate.constructors.arguments import Refusal
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.parameters.groups import GroupEntry

OPEN: Final = Template("...")
_SHOWN: Final = 60
"""Characters of what stood there that a message still shows."""


class Left:
    """What is left open in one call: arguments by their places, entries of groups, and what is said of them."""

    def __init__(self, source: Source, packages: Sequence[str]) -> None:
        self.source = source
        self.packages = packages
        self.names: dict[int, str | None] = {}
        self.changes: list[Change] = []
        self.gone: list[ast.expr] = []
        self.findings: list[Finding] = []
        self.settled: set[int] = set()

    def argument(self, place: int, argument: Argument, found: Finding) -> None:
        self.names[place] = argument.name
        self._left(argument.node, found)

    def entry(self, entry: GroupEntry, found: Finding) -> None:
        self.settle(entry, OPEN)
        self._left(entry.value, found._replace(node=entry.value))

    def settle(self, entry: GroupEntry, value: Template) -> None:
        """Give a group another value, of which nothing is to be said."""
        self.changes.append(Replace(entry.value, value))
        self.settled.add(id(entry.value))

    def _left(self, node: ast.expr, found: Finding) -> None:
        self.findings.append(with_text(self.source, node, found))
        self.gone += [item for item in inner(node) if isinstance(item, ast.Name | ast.Attribute) and self._is_own(item)]

    def _is_own(self, node: ast.expr) -> bool:
        """Tell whether a name is one of the framework that is left."""
        paths = Module.of(self.source).paths(node)
        return bool(paths) and all(path is not None and path.partition(".")[0] in self.packages for path in paths)

    def written(self, made: CallTemplate) -> CallTemplate:
        """The call with `...` for each argument that is left open, where the old one stood."""
        given = list(made.arguments)
        for place, name in self.names.items():
            mine = [number for number, item in enumerate(given) if item.place == place]
            later = (number for number, item in enumerate(given) if item.place is None or item.place > place)
            behind = next((number for number in later if number and given[number].name is not None), len(given))
            if mine:
                given[mine[0]] = given[mine[0]]._replace(value=OPEN, element=None)
            else:
                given.insert(behind, NewArgument(name, OPEN, place))
        return made._replace(arguments=tuple(given))


def with_text(source: Source, node: ast.expr, found: Finding) -> Finding:
    """What is said of an expression that goes away, with its text where that is short."""
    text = " ".join(source.text_of(node).split())
    return found._replace(message=f"{found.message}; it was {text}") if len(text) <= _SHOWN else found


def unsupported(call: CallText, refused: Refusal) -> list[int]:
    """The places of the keywords that the target lacks, if nothing else stands against the call."""
    places = [reason.index for reason in refused.reasons if reason.code is UNSUPPORTED_ARGUMENT]
    named = [place for place in places if place is not None and call.arguments[place].form is Form.KEYWORD]
    return list(dict.fromkeys(named)) if len(named) == len(refused.reasons) else []


def rates_of_groups(
    site: CallSite, tables: MappingSet, plan: Plan, entries: Iterable[GroupEntry]
) -> dict[int, Finding]:
    """Why the learning rates of groups cannot stay, by the ids of their values."""
    found: dict[int, Finding] = {}
    for entry in entries:
        if entry.sets and "learning_rate" in group_ties(plan.source, entry.key, plan.switched):
            what = learning_rate_object(site, entry.value, tables)
            if what is not None:
                message = f"the learning rate of a group is {what.text}, which {plan.target.name} cannot take"
                found[id(entry.value)] = Finding(SCHEDULE_ARGUMENT, message, site.node)
    return found


def same_value(module: Module, one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two names surely hold one value that nothing changes in between."""
    variable = module.variable(one)
    same = isinstance(one, ast.Name) and variable is not None and module.variable(other) is variable
    if not same or variable is None or variable.grows or module.scope(one) is not module.scope(other):
        return False
    return list(module.in_force(variable, one)) == list(module.in_force(variable, other))

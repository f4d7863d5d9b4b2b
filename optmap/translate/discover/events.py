"""What is done with an optimizer in training."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Kind
from optmap.source.model import Module, Variable
from optmap.source.syntax import called
from optmap.translate.discover.holders import Holder, Search, uses_of
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import Chain, seen
from optmap.values import NamedTuple


def done_with(module: Module, optimizer: ast.expr, framework: Framework) -> Iterator[tuple[Kind, ast.Call]]:
    """What the place that an optimizer stands in does with it: `X.step()`, `X(grads)`, `model.compile(optimizer=X)`."""
    steps, parent = framework.facts.steps, module.parent(optimizer)
    kind: Kind | None = None
    if isinstance(parent, ast.Attribute):
        call, kind = module.call_of(parent), steps.methods.get(parent.attr)
    elif (call := module.call_of(optimizer)) is not None:
        kind = steps.called
    elif (call := module.call_with(optimizer)) is not None:
        method = steps.given.get(f".{called(call)}") if isinstance(call.func, ast.Attribute) else None
        kind = steps.given.get(called(call)) or method
    if kind is not None and call is not None:
        yield kind, call


class Event(NamedTuple):
    """One use of an optimizer. Without a holder it is used where it is constructed."""

    kind: Kind
    call: ast.Call
    holder: Holder | None
    site: CallSite


class Training(NamedTuple):
    """What a file does with its translated optimizers: who holds them, and every use for training in the text's order."""

    module: Module
    holders: tuple[Holder, ...]
    events: tuple[Event, ...]
    by_holder: Mapping[int, tuple[Event, ...]]
    """The events of each holder, by its id."""
    by_place: Mapping[int, tuple[Event, ...]]
    """The events of each function, class or module that they stand in, by its id."""


def place_of(module: Module, event: Event) -> ast.AST:
    """The innermost function or class around an event, or the module."""
    return module.enclosing(event.call, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef) or module.tree


def _grouped(events: Sequence[Event], key: Callable[[Event], object]) -> dict[int, tuple[Event, ...]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        found.setdefault(id(key(event)), []).append(event)
    return {group: tuple(items) for group, items in found.items()}


def read_training(module: Module, sites: Sequence[CallSite]) -> Training:
    """Find the holders of translated optimizers, and what is done with them."""
    holders = Search(module, sites).run()
    events = [event for holder in holders for event in _held(module, holder)]
    for site in sites:
        events += (Event(*found, None, site) for found in done_with(module, site.node, site.api.framework))
    events.sort(key=lambda event: (event.call.end_lineno or 0, event.call.end_col_offset or 0))
    by_holder = _grouped(events, lambda event: event.holder)
    return Training(
        module, tuple(holders), tuple(events), by_holder, _grouped(events, lambda event: place_of(module, event))
    )


def _held(module: Module, holder: Holder) -> Iterator[Event]:
    site = holder.sites[0]
    for use in uses_of(module, holder.variable):
        for kind, call in done_with(module, use, site.api.framework):
            yield Event(kind, call, holder, site)


def model_uses(training: Training, made: Iterable[Variable] = ()) -> Iterator[ast.expr]:
    """Every place that speaks of a model which the file `made` or an optimizer trains, under whatever name it is passed on."""
    module = training.module
    parts: dict[Variable, set[Chain]] = {variable: set() for variable in made}
    for holder in training.holders:
        for chain in holder.models or ():
            least = 2 if chain[0] == "self" else 1
            variable = _model_variable(module, chain[:least], holder.place)
            if variable is not None:
                parts.setdefault(variable, set()).add(chain[least:])
    found = [Holder(variable, ()) for variable in parts]
    Search(module, ()).follow(found)
    for item in found:
        for use in uses_of(module, item.variable):
            yield use
            yield from (node for rest in parts.get(item.variable, ()) for node in _part(module, use, rest))


def _part(module: Module, node: ast.expr, rest: Chain) -> Iterator[ast.expr]:
    """`model.head` around `model`, for the rest `head`."""
    for name in rest:
        outer = module.parent(node)
        if not isinstance(outer, ast.Attribute) or outer.attr != name:
            return
        node = outer
    if rest:
        yield node


def _model_variable(module: Module, chain: Chain, place: ast.AST) -> Variable | None:
    """The variable of `model` or `self.model` as seen from a place."""
    if len(chain) == 1:
        return seen(module, chain[0], place)
    owner = place if isinstance(place, ast.ClassDef) else module.class_of(place)
    return module.attribute_of(owner, chain[1]) if owner is not None else None

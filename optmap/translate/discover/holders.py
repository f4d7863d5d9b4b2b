"""Which variables hold the translated optimizers? Those that are assigned one, are passed one, or get one as a result."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from optmap.source.model import Module, Variable
from optmap.source.syntax import argument_values, chain_of, parameters
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import Chain, models_seen, values_of
from optmap.translate.steps.reasons import Reason, Why, because
from optmap.values import NamedTuple

_MANY = 100


class Holder(NamedTuple):
    """A variable that holds an optimizer and nothing else: `optimizer`, `self.optimizer`, or a function's parameter.

    `doubt` says why it may hold something else. `models` are the variables whose parameters it trains, as they are written
    where the variable belongs; None where they cannot be named there.
    """

    variable: Variable
    sites: tuple[CallSite, ...]
    doubt: Reason | None = None
    models: tuple[Chain, ...] | None = None

    @property
    def chain(self) -> Chain:
        return self.variable.chain

    @property
    def place(self) -> ast.AST:
        """The function, class or module whose variable it is."""
        return self.variable.scope

    @property
    def text(self) -> str:
        return self.variable.text


def uses_of(module: Module, variable: Variable) -> Iterator[ast.expr]:
    """The places that read the variable; of an attribute those of `self`, as other objects may be of another class."""
    for use in variable.uses:
        owner = use.value if isinstance(use, ast.Attribute) else None
        called_self = isinstance(owner, ast.Name) and owner.id == "self" and module.class_of(use) is variable.scope
        if owner is None or called_self or module.self_class(owner) is variable.scope:
            yield use


class _Object(NamedTuple):
    """An optimizer on its way from variable to variable, in the words of `Holder`."""

    sites: tuple[CallSite, ...]
    doubt: Reason | None = None
    models: tuple[Chain, ...] | None = None


class Search:
    """Follows optimizers, or models, from variable to variable."""

    def __init__(self, module: Module, sites: Sequence[CallSite]) -> None:
        self.module = module
        self.by_node = {id(site.node): site for site in sites}

    def run(self) -> list[Holder]:
        found: list[Holder] = []
        for site in self.by_node.values():
            self._hold(site, found)
            result = self.module.parent(site.node)
            if isinstance(result, ast.Return):
                self._results(result, None, _Object((site,)), found)
        self.follow(found)
        return found

    def follow(self, holders: list[Holder]) -> None:
        """Add the variables that are given what the holders hold: parameters of functions, and results."""
        for holder in holders:  # grows while it is walked: a parameter may be passed on
            if len(holders) >= _MANY:
                return
            for use in list(uses_of(self.module, holder.variable)):
                self._pass(holder, use, holders)
                self._return(holder, use, holders)

    def _hold(self, site: CallSite, found: list[Holder]) -> None:
        variable = self.module.holder(site.node)
        if variable is None or any(site in holder.sites for holder in found):
            return
        sites = [self.by_node.get(id(value)) for value in values_of(variable)]
        if site not in sites:
            return
        known = tuple(item for item in sites if item is not None)
        doubt = None if len(known) == len(sites) else because(Why.BOUND_OTHERWISE, name=variable.text)
        models = {models_seen(self.module, variable, item) for item in known}
        found.append(Holder(variable, known, doubt, models.pop() if len(models) == 1 else None))

    def _pass(self, holder: Holder, use: ast.expr, found: list[Holder]) -> None:
        """The parameter of a function of the file that is given the object."""
        call = self.module.call_with(use)
        named = call is not None and isinstance(call.func, ast.Name)
        function = self.module.definition(call.func) if call is not None and named else None
        if call is None or not isinstance(function, ast.FunctionDef):
            return
        parameter = self._parameter(function, call, use)
        variable = self.module.variable(parameter) if parameter is not None else None
        if variable is None or any(item.variable is variable for item in found):
            return
        doubt = holder.doubt or self._doubt(function, variable, holder)
        models = self._passed_models(function, call, holder)
        found.append(Holder(variable, holder.sites, doubt, models))

    def _parameter(self, function: ast.FunctionDef, call: ast.Call, value: ast.expr) -> ast.arg | None:
        """The parameter that receives an argument of the call."""
        bound = self.module.arguments(call, function)
        for item in parameters(function.args):
            given = bound.get(item.arg)
            if given is not None and given.value is value:
                return item
        return None

    def _passed_models(self, function: ast.FunctionDef, call: ast.Call, holder: Holder) -> tuple[Chain, ...] | None:
        """The names that models have inside a function that is called with them."""
        given, found = argument_values(call), []
        for model in holder.models or ():
            value = next((item for item in given if chain_of(item) == model), None)
            name = self._parameter(function, call, value) if value is not None else None
            if name is None:
                return None
            found.append((name.arg,))
        return tuple(found) if holder.models is not None else None

    def _doubt(self, function: ast.FunctionDef, variable: Variable, holder: Holder) -> Reason | None:
        """Say why a function's parameter may be another optimizer; None where every call in the file passes this one."""
        if len(variable.bindings) != 1:
            return because(Why.PARAMETER_BOUND, name=variable.text, function=function.name)
        passed = set(map(id, uses_of(self.module, holder.variable)))
        named = self.module.variable(function)
        for use in named.uses if named is not None else ():
            call = self.module.call_of(use)
            if call is None:
                return because(Why.NOT_CALLED, function=function.name)
            given = self.module.arguments(call, function).get(variable.chain[0])
            if given is None or id(given.value) not in passed:
                return because(Why.OTHER_ARGUMENT, function=function.name, line=call.lineno)
        return None

    def _return(self, holder: Holder, use: ast.expr, found: list[Holder]) -> None:
        """The variables that are given the object as the result of a function, or as one of its results."""
        parent = self.module.parent(use)
        outer = self.module.parent(parent) if isinstance(parent, ast.Tuple) else None
        what = _Object(*holder[1:])
        if isinstance(parent, ast.Return):
            self._results(parent, None, what, found)
        elif isinstance(parent, ast.Tuple) and isinstance(outer, ast.Return):
            self._results(outer, (parent, next(i for i, item in enumerate(parent.elts) if item is use)), what, found)

    def _results(
        self, result: ast.Return, piece: tuple[ast.Tuple, int] | None, what: _Object, found: list[Holder]
    ) -> None:
        function = self.module.function_of(result)
        named = self.module.variable(function) if function is not None else None
        if function is None or named is None or not isinstance(named.scope, ast.Module) or len(named.bindings) > 1:
            return
        returns = [item for item in self.module.nodes(ast.Return) if self.module.function_of(item) is function]
        for use in named.uses:
            call = self.module.call_of(use)
            assign = self.module.parent(call) if call is not None else None
            if not isinstance(assign, ast.Assign) or len(assign.targets) != 1 or assign.value is not call:
                continue
            target, size = assign.targets[0], len(piece[0].elts) if piece else 0
            unpacked = target.elts if isinstance(target, ast.Tuple) and len(target.elts) == size else []
            mine = target if piece is None else unpacked[piece[1]] if unpacked else None
            variable = self.module.variable(mine) if isinstance(mine, ast.Name) else None
            if variable is None or any(item.variable is variable for item in found):
                continue
            again = because(Why.BOUND_OTHERWISE, name=variable.text) if len(list(values_of(variable))) > 1 else None
            several = because(Why.SEVERAL_RETURNS, function=function.name) if len(returns) > 1 else None
            models = _returned_models(what.models, piece, unpacked)
            found.append(Holder(variable, what.sites, what.doubt or again or several, models))


def _returned_models(
    models: tuple[Chain, ...] | None, piece: tuple[ast.Tuple, int] | None, targets: Sequence[ast.expr]
) -> tuple[Chain, ...] | None:
    """The names of models that a function returns beside the optimizer."""
    if models is None or piece is None:
        return None
    found = []
    for model in models:
        index = next((i for i, item in enumerate(piece[0].elts) if chain_of(item) == model), None)
        target = targets[index] if index is not None else None
        if not isinstance(target, ast.Name):
            return None
        found.append((target.id,))
    return tuple(found)

"""Where a file changes which parameters are trained: torch looks at that in each step, others where they construct optimizers."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from optmap.source.model import How, Module
from optmap.source.paths import root_of
from optmap.source.syntax import inner
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.parameters.reader import read_parameters
from optmap.values import NamedTuple

_DEPTH = 4
_GIVING = ("parameters", "named_parameters", "modules", "children", "named_children")


class Freezing(NamedTuple):
    """The first lines that change what is trained before a constructor runs, and behind it or at any time; None without.

    Of those before it, `between` is the first that runs behind a place which lists the constructor's parameters.
    """

    before: int | None = None
    later: int | None = None
    between: int | None = None


def freezing(site: CallSite, *, steps: bool = False) -> Freezing:
    """What the file does with the attribute that says whether a parameter is trained.

    Of a framework that looks at it where optimizers are made, that matters for `steps` alone.
    """
    names = site.api.framework.facts.parameters
    flag = names.flag or (names.trained if steps else None)
    if flag is None or not site.module.source.holds(flag.encode()):
        return Freezing()
    before, later, between = list[int](), list[int](), list[int]()
    changes = list(_changes(site.module, flag, (*site.api.framework.facts.packages, "np", "numpy")))
    listed = _listed(site) if changes else []
    for node in changes:
        times = _runs_before(site.module, node, site.node, _DEPTH)
        before += [node.lineno] * (True in times)
        later += [node.lineno] * (False in times)
        behind = any(_follows(site.module, node, item) for item in listed)
        between += [node.lineno] * (True in times and behind)
    return Freezing(*(min(lines, default=None) for lines in (before, later, between)))


def _listed(site: CallSite) -> list[ast.expr]:
    """The places beside a constructor, in its function, that list the parameters which it is given."""
    given = constructed_with(site)
    found = read_parameters(site.module.source, given, site.api.framework) if given is not None else None
    places = list[ast.expr]()
    for call in (*found.accessors, *found.unnamed) if found is not None else ():
        function = site.module.function_of(call)
        places += [call] if function is None else [call, *(site.module.callers(function) or ())]
    own = site.module.function_of(site.node)
    return [place for place in places if site.module.function_of(place) is own]


def _follows(module: Module, node: ast.expr, listed: ast.expr) -> bool:
    """Tell whether a place changes what was listed before."""
    return False in _runs_before(module, node, listed, _DEPTH) and not _trains_each(module, node, listed)


def _trains_each(module: Module, node: ast.expr, listed: ast.expr) -> bool:
    """Tell whether a loop over all that is listed makes each of it trainable."""
    statement, loop = module.parent(node), module.enclosing(node, ast.For)
    value = statement.value if isinstance(statement, ast.Assign) else None
    always = isinstance(value, ast.Constant) and value.value is True and loop is not None and statement in loop.body
    return always and loop is not None and any(item is listed for item in inner(loop.iter))


def _changes(module: Module, flag: str, packages: Collection[str]) -> Iterator[ast.expr]:
    """Every place that sets the flag of what may be a parameter, or calls the method that does."""
    stores = (node for node in module.attributes(flag) if isinstance(node.ctx, ast.Store))
    calls = (node for node in module.attributes(f"{flag}_") if isinstance(module.parent(node), ast.Call))
    for node in (*stores, *calls):
        if not _is_data(module, node.value, packages):
            yield node
    for name in module.names("setattr"):
        call = module.parent(name)
        if isinstance(call, ast.Call) and any(
            isinstance(item, ast.Constant) and item.value == flag for item in call.args
        ):
            yield call


def _is_data(module: Module, node: ast.expr, packages: Collection[str]) -> bool:
    """Tell whether a value is a variable that is given results or batches, and no parameter: `images.requires_grad = True`."""
    variable = module.variable(node) if isinstance(node, ast.Name) else None
    if isinstance(node, ast.Call) or variable is None:
        return isinstance(node, ast.Call) and _gives_tensor(node, packages)
    for binding in variable.bindings:
        if binding.how is How.PARAMETER or binding.value is None:
            return False
        words = {item.attr for item in inner(binding.value) if isinstance(item, ast.Attribute)}
        calls = isinstance(binding.value, ast.Call) and _gives_tensor(binding.value, packages)
        if words & set(_GIVING) or (binding.loop is None and not calls):
            return False
    return True


def _gives_tensor(call: ast.Call, packages: Collection[str]) -> bool:
    """`torch.randn(...)`, `x.clone().detach()`."""
    root, last = root_of(call.func), getattr(call.func, "attr", "")
    made = root is not None and root.id in packages and last != "load"
    return made or last in ("clone", "detach", "to", "cuda", "float")


def _runs_before(module: Module, node: ast.AST, site: ast.expr, depth: int) -> set[bool]:
    """Tell whether a place runs before a constructor does, behind it or at a time that is not known, or at both times."""
    function = module.function_of(node)
    if function is module.function_of(site):
        return {module.statement(node).lineno < module.statement(site).lineno}
    calls = module.callers(function) if function is not None and depth else None
    return {time for call in calls or () for time in _runs_before(module, call, site, depth - 1)} or {False}

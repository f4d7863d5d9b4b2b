"""Does every step give gradients to all parameters? torch leaves one alone that has none; a gradient function gives zeros, with
which decay, momentum and moments go on. So the loss must surely depend on every layer of the models, as far as their classes
stand in the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import Chain, constructed_with, values_of
from optmap.translate.parameters.freezing import freezing
from optmap.translate.steps.read.dependence import GROUPS, Body, Results, computed_with
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.reasons import Why
from optmap.values import NamedTuple

_METHODS: Final = ("forward", "construct", "call", "__call__")
_BARE: Final = re.compile(
    r"(?<!P)ReLU|ReLU6|[GSC]?ELU|SiLU|Mish|Tanh|Sigmoid|Softmax|Softmin|Softplus|Softsign|Hard|Shrink|Threshold|Drop|Pool|Flatten"
    r"|Identity|Loss|Pad|Upsampl|Shuffle|Fold|Cosine|Activation|Reshape|InputLayer|InputSpec|Rescaling|Tracker|Mean"
)  # fmt: skip
"""Layers that have no parameters."""


def check_reached(step: Step) -> Step:
    """Refuse to rewrite a step whose loss may not depend on every parameter of its optimizer."""
    return check_loss_reached(step, step.region, step.value)


def check_function_reached(step: Step, function: ast.FunctionDef) -> Step:
    """Refuse to rewrite a step whose forward function gives a loss, its first result, that may not depend on every parameter."""
    for value in step.module.returns(function):
        step = check_loss_reached(step, function.body, value.elts[0] if isinstance(value, ast.Tuple) else value)
    return step


def check_loss_reached(step: Step, region: Sequence[ast.stmt], loss: ast.expr) -> Step:
    """Refuse to rewrite a step whose loss, computed in a region, may not depend on every parameter of its optimizer."""
    reach = Reach(step.module)
    code = [*region, ast.Expr(loss)]
    used = Body(step.module, (), region).used(code, {item.id for item in inner(loss) if isinstance(item, ast.Name)})
    for model in step.models:
        missing = _missing(step, code, reach, model, used)
        if missing is not None:
            return step.refuse(Why.UNREACHED, layer=missing.layer, line=missing.line)
    return step


def check_cell_reached(step: Step, network: ast.expr) -> Step:
    """Refuse to rewrite a step of a network that computes the loss, which may not depend on every parameter of its optimizer."""
    reach = Reach(step.module)
    given = [constructed_with(site) for site in step.holder.sites]
    models = [node.func.value for node in given if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    for node in (network, *models):
        owner = reach.owner(node)
        missing = reach.missing(owner) if owner is not None else None
        if missing is None and owner is not None and reach.results(owner) > 1:
            missing = _Missing(ast.unparse(node), node.lineno)
        if missing is not None:
            return step.refuse(Why.UNREACHED, layer=missing.layer, line=missing.line)
    return step


def check_frozen(step: Step) -> Step:
    """Refuse to rewrite a step where the file changes which parameters are trained once its optimizer is there."""
    found = [freezing(site, steps=True) for site in step.holder.sites]
    lines = [line for item in found for line in (item.later, item.between) if line is not None]
    return step.refuse(Why.FROZEN, line=lines[0]) if lines else step


class _Missing(NamedTuple):
    layer: str
    line: int


def _missing(
    step: Step, code: Sequence[ast.stmt], reach: Reach, model: Chain, used: Collection[Chain]
) -> _Missing | None:
    """The first layer of a model that may get no gradients."""
    nodes = [node for item in code for node in inner(item)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and _begins(model, chain_of(node.func))]
    if not calls:
        given = any(
            chain_of(node) == model and not isinstance(step.module.parent(node), ast.Attribute) for node in nodes
        )
        parts = [node for node in nodes if _begins(chain_of(node) or (), model)]
        return None if given or not parts else _Missing(".".join(model), parts[0].lineno)  # type: ignore[attr-defined]
    first = calls[0]
    chain = chain_of(first.func) or ()
    if chain not in used:
        return _Missing(".".join(model), first.lineno)
    owner = reach.owner(first.func)
    if owner is None:
        return None
    results = _results(step, first, reach.results(owner), used)
    if results is None:
        return _Missing(".".join(chain), first.lineno)
    return reach.missing(owner, model[len(chain) :], results, _beside(used, chain))


def _begins(chain: Chain, start: Chain | None) -> bool:
    return start is not None and chain[: len(start)] == start


def _results(step: Step, call: ast.Call, count: int, used: Collection[Chain]) -> Results | None:
    """Which of the results that a model gives, so many at most, the loss uses; None where that cannot be told."""
    if count < 2:
        return ()
    statement = step.module.parent(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    names = target.elts if isinstance(target, ast.Tuple) else []
    if len(names) != count or not all(isinstance(item, ast.Name) for item in names):
        return None
    words = [item.id for item in names if isinstance(item, ast.Name)]
    found = [(place, word == step.loss) for place, word in enumerate(words) if (word,) in used]
    return tuple(found) or None


def _beside(used: Collection[Chain], model: Chain) -> set[Chain]:
    """What the loss depends on of a model, as the model itself would name it."""
    size = len(model)
    return {("self", *chain[size:]) for chain in used if chain[:size] == model and len(chain) > size}


class Reach:
    """Which layers the result of a class's forward method surely depends on."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.known: dict[ast.ClassDef, _Missing | None] = {}

    def owner(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the file that a model is of."""
        found = self.module.instance(node)
        if found is not None:
            return found
        owners = {self.made(value) for value in self.module.reaching(node, calls=False).values}
        return owners.pop() if len(owners) == 1 else None

    def made(self, value: ast.expr) -> ast.ClassDef | None:
        """The class of the file whose object an expression constructs, moved somewhere or not."""
        while (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and isinstance(value.func.value, ast.Call)
        ):
            value = value.func.value
        found = self.module.definition(value.func) if isinstance(value, ast.Call) else None
        return found if isinstance(found, ast.ClassDef) else None

    def missing(
        self, owner: ast.ClassDef, part: Chain = (), results: Results = (), beside: Collection[Chain] = ()
    ) -> _Missing | None:
        """The first layer of an object, or of a part of it, that may get no gradients.

        Only some `results` may be used; what stands `beside` the call is used anyway.
        """
        if part or results or beside:
            return self._missing(owner, part, results, beside)
        if owner not in self.known:
            self.known[owner] = None
            self.known[owner] = self._missing(owner)
        return self.known[owner]

    def _missing(
        self, owner: ast.ClassDef, part: Chain = (), results: Results = (), beside: Collection[Chain] = ()
    ) -> _Missing | None:
        method = self._forward(owner)
        if method is None:
            return None
        used = {*beside, *Body(self.module, self._family(owner), method.body, results).returned()}
        for name, value in self._layers(owner):
            if part and name != part[0]:
                continue
            if ("self", name) not in used and not (self._is_parameter(value) and computed_with(used, name)):
                return _Missing(f"self.{name}", value.lineno)
            for item in inner(value):
                inside = self.made(item) if isinstance(item, ast.Call) else None
                found = self.missing(inside) if inside is not None and inside is not owner else None
                if found is not None:
                    return found
        return None

    def results(self, owner: ast.ClassDef) -> int:
        """How many results the forward method gives at most."""
        method = self._forward(owner)
        values = self.module.returns(method) if method is not None else ()
        return max((len(item.elts) if isinstance(item, ast.Tuple) else 1 for item in values), default=1)

    def _forward(self, owner: ast.ClassDef) -> ast.FunctionDef | None:
        return next((found for name in _METHODS if (found := self.module.method(owner, name)) is not None), None)

    def _family(self, owner: ast.ClassDef) -> tuple[ast.ClassDef, ...]:
        return (owner, *(base for base in self.module.bases(owner).known if base is not owner))

    def _layers(self, owner: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
        """The attributes of an object that may hold parameters."""
        family = self._family(owner)
        attributes = (node for item in family for node in inner(item) if isinstance(node, ast.Attribute))
        stores = (node for node in attributes if isinstance(node.ctx, ast.Store))
        names = {node.attr for node in stores if self.module.self_class(node.value) in family}
        for name in sorted(names):
            variable = self.module.attribute_of(owner, name)
            for value in values_of(variable) if variable is not None else ():
                if value is not None and any(self._holds(item) for item in inner(value)):
                    yield name, value

    def _is_parameter(self, value: ast.expr) -> bool:
        return isinstance(value, ast.Call) and (chain_of(value.func) or ("",))[-1] == "Parameter"

    def _holds(self, node: ast.AST) -> bool:
        """Tell whether an expression makes a layer or a parameter."""
        if not isinstance(node, ast.Call):
            return False
        own = self.module.definition(node.func)
        if isinstance(own, ast.ClassDef):
            return self._forward(own) is not None
        last = (chain_of(node.func) or ("",))[-1]
        paths = [path for path in self.module.paths(node.func) if path is not None]
        layers = any(
            re.search(r"\bnn\.|\blayers\.|\bParameter$", path) and ".functional." not in path for path in paths
        )
        return layers and last[:1].isupper() and _BARE.search(last) is None and last not in GROUPS

"""One training step as far as it has been read: an immutable value that functions read, fill and hand on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from optmap.mapping.frameworks import Kind, Recording
from optmap.source.flow import Effects
from optmap.source.model import Module, Variable
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of, inner
from optmap.source.text import Source
from optmap.translate.discover.events import Event, Training, place_of
from optmap.translate.discover.holders import Holder
from optmap.translate.discover.trained import Chain, seen
from optmap.translate.steps.read.plan import Clip, Ready
from optmap.translate.steps.reasons import NotPlain, Reason, Why, because
from optmap.values import NamedTuple

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
HARMLESS: Final = frozenset(
    {"print", "float", "int", "len", "str", "round", "sum", "min", "max", "abs", "range", "list", "tuple", "enumerate",
     "zip", "next", "iter", "bool", "format", "isinstance", "dict"}
)  # fmt: skip
"""Builtins that neither hold parameters nor look at gradients."""


class Interface(NamedTuple):
    """What the forward function is given and what it gives back besides the loss, and before which statement it stands.

    Where it is not plain, `refusal` says why; the rest is what was found until then.
    """

    hoist: ast.stmt | None = None
    arguments: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    refusal: Reason | None = None


class Step(NamedTuple):
    """A step around one use of an optimizer, and what is known of it.

    `function` is the innermost function or class around it, or the module; `block` the statements among which it stands.
    `zeros` clear the gradients, `region` is the forward part, `backward` the backward pass or what takes a tape's
    gradient, `head` the statement whose block the region is. `loss` is the variable of the loss, `total` what the backward
    pass starts from where that is not plain. `gone` are other statements that make the gradients. `modes` are models to put
    into training mode in front of the forward function, `ready` says where others are. With `summed` gradients are added up
    over several backward passes. `others` must belong to other steps that are rewritten, too; where they share
    the forward part, `shared` are the parameters whose gradients this one takes. `refusals` say why the step is not
    rewritten, though code can be shown for it.
    """

    source: Source
    training: Training
    event: Event
    holder: Holder
    function: ast.AST
    statement: ast.Expr | ast.Assign | None = None
    block: Sequence[ast.stmt] = ()
    zeros: tuple[ast.stmt, ...] = ()
    region: tuple[ast.stmt, ...] = ()
    backward: ast.Expr | ast.Assign | ast.With | None = None
    head: ast.With | None = None
    loss: str | None = None
    total: ast.expr | None = None
    clips: tuple[Clip, ...] = ()
    interface: Interface = Interface()
    modes: tuple[Chain, ...] = ()
    ready: tuple[Ready, ...] = ()
    gone: tuple[ast.stmt, ...] = ()
    summed: bool = False
    others: tuple[ast.stmt, ...] = ()
    shared: str = ""
    refusals: tuple[Reason, ...] = ()

    def refuse(self, why: Why | Reason, **data: object) -> Step:
        """The step with a reason not to rewrite it, after which reading goes on: code can still be shown for it."""
        reason = because(why, **data) if isinstance(why, Why) else why
        return self._replace(refusals=(*self.refusals, reason))

    def tried(self, check: Callable[[Step], object]) -> Step:
        """The step after a check; what forbids to show code is raised as NotPlain."""
        try:
            check(self)
        except NotPlain as error:
            if not error.reason.harmless:
                raise
            return self.refuse(error.reason)
        return self

    @property
    def module(self) -> Module:
        return self.training.module

    @property
    def recording(self) -> Recording:
        """What the framework records of what is computed."""
        return self.event.site.api.framework.facts.steps.recording

    @property
    def effects(self) -> Effects:
        """What statements of the file read, bind and change."""
        return Effects.of(self.source)

    @property
    def models(self) -> tuple[Chain, ...]:
        return self.holder.models or ()

    @property
    def anchor(self) -> ast.stmt:
        """The first statement of the forward part."""
        found = self.head or (self.region[0] if self.region else self.backward)
        assert found is not None
        return found

    @property
    def value(self) -> ast.expr:
        """What the backward pass starts from."""
        assert self.backward is not None
        return self.total if self.total is not None else receiver(self.backward)

    def variable(self, name: str) -> Variable | None:
        """The variable of a name in the function."""
        return self.module.bound(name, at=self.event.call)

    def is_local(self, name: str) -> bool:
        """Tell whether a name is a variable of the function itself."""
        variable = self.variable(name)
        return variable is not None and variable.scope is self.function

    def around(self) -> list[ast.AST]:
        """The nodes between the function and the step, innermost first."""
        return list(within(self.module, self.event.call, self.function))

    def chain(self, node: ast.AST) -> Chain | None:
        """The names of `a.b.c` where the first means what it means in the function."""
        root = root_of(node)
        if root is None:
            return None
        owner = self.module.self_class(root)
        if owner is not None:
            return chain_of(node) if owner is self.module.class_of(self.event.call) else None
        return chain_of(node) if self.module.variable(root) is self.variable(root.id) else None

    def model_of(self, node: ast.AST) -> Chain | None:
        """The model of the optimizer that a chain of names begins with."""
        text = chain_of(node)
        found = next((model for model in self.models if text is not None and text[: len(model)] == model), None)
        return found if found is not None and self.chain(node) is not None else None

    def names_model(self, node: ast.AST) -> bool:
        """Tell whether an expression is one of the optimizer's models."""
        return chain_of(node) in self.models and self.chain(node) is not None

    def mentions_model(self, node: ast.AST) -> bool:
        return any(isinstance(item, ast.Name | ast.Attribute) and self.names_model(item) for item in inner(node))

    def is_harmless(self, name: ast.Name) -> bool:
        """Tell whether a name means a builtin that neither holds parameters nor looks at gradients."""
        return name.id in HARMLESS and self.module.is_builtin(name.id, at=name)

    def inside(self, node: ast.AST, statements: Sequence[ast.stmt]) -> bool:
        """Tell whether a node stands in one of the statements."""
        at = self.module.statement(node)
        return any(item is other for item in (at, *self.module.ancestors(at)) for other in statements)

    def home(self, node: ast.AST) -> ast.AST:
        """The function or class whose own statements a node belongs to, or the module."""
        at = self.module.statement(node)
        return self.module.enclosing(at, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef) or self.module.tree

    def check_model(self, model: Chain) -> None:
        """A name of the model must mean the same where the optimizer is held and where it steps. Raises NotPlain."""
        held = seen(self.module, model[0], self.holder.place)
        if model[0] != "self" and self.variable(model[0]) is not held and not self._is_passed(model[0], held):
            raise NotPlain(Why.OTHER_VARIABLE, name=model[0])

    def _is_passed(self, name: str, held: Variable | None) -> bool:
        """Tell whether a name is a parameter of the function for which every caller gives a variable of the same name."""
        variable = self.variable(name)
        target = variable.bindings[0].target if variable is not None and len(variable.bindings) == 1 else None
        if held is None or variable is None or not isinstance(target, ast.arg) or variable.scope is not self.function:
            return False
        passed = self.module.passed(target)
        same = all(isinstance(value, ast.Name) and self.module.variable(value) is held for value in passed.values)
        return passed.unknown is None and bool(passed.values) and same


def begin(source: Source, training: Training, event: Event) -> Step:
    """A step of which nothing but its place is known."""
    assert event.holder is not None
    return Step(source, training, event, event.holder, place_of(training.module, event))


def stand(step: Step, used: Why, misplaced: Why, *places: type[ast.AST]) -> Step:
    """Find the step's statement and its block. Raises NotPlain where it is not a statement, or stands in one of the places."""
    if step.holder.doubt is not None:
        step = step.refuse(step.holder.doubt)
    statement = step.module.parent(step.event.call)
    if step.event.kind is Kind.CALL:
        statement = _update(step) or statement
    elif not isinstance(statement, ast.Expr):
        raise NotPlain(used)
    if not isinstance(statement, ast.Expr | ast.Assign):
        raise NotPlain(used)
    if isinstance(step.function, (ast.Lambda, ast.ClassDef, *places)):
        raise NotPlain(misplaced)
    return step._replace(statement=statement, block=step.module.block(statement)[0])


def _update(step: Step) -> ast.stmt | None:
    """The statement of an update whose result is not used: `done = optimizer(grads)`, `loss = depend(loss, optimizer(grads))`."""
    module, call = step.module, step.event.call
    outer = module.parent(call)
    if isinstance(outer, ast.Assign) and len(outer.targets) == 1 and isinstance(outer.targets[0], ast.Name):
        variable = module.variable(outer.targets[0])
        return outer if variable is not None and not variable.uses and len(variable.bindings) == 1 else None
    statement = module.parent(outer) if isinstance(outer, ast.Call) else None
    passes = step.event.site.api.framework.facts.steps.passes
    if isinstance(outer, ast.Call) and isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        same = len(outer.args) == 2 and not outer.keywords and outer.args[1] is call
        same = same and chain_of(outer.args[0]) == chain_of(statement.targets[0]) is not None
        return statement if same and module.paths(outer.func) <= set(passes) else None
    return None


def within(module: Module, node: ast.AST, outer: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, innermost first, up to one of them; all where it is none."""
    for item in module.ancestors(node):
        if item is outer:
            return
        yield item


def receiver(statement: ast.Expr | ast.Assign | ast.With) -> ast.expr:
    """`loss` in `loss.backward()`."""
    call = statement.value if not isinstance(statement, ast.With) else None
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def is_backward(statement: ast.AST | None) -> bool:
    """`loss.backward(...)` as a statement."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "backward"


def deleted(step: Step, name: str) -> list[ast.Name]:
    """Where a variable of the function is deleted, which is an error where it has no value any more."""
    variable = step.variable(name)
    gone = (item for item in step.module.names(name) if isinstance(item.ctx, ast.Del))
    return [item for item in gone if step.module.variable(item) is variable]


def shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 50 else text[:47] + "..."

"""What reading a training step shares: the plan that comes out, the reason why none does, and what is known on the way."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from optmap.source.flow import binds, reads, same_scope, targets
from optmap.source.scopes import Names, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Block, Event, Holder
from optmap.translate.discover.holders import Finder

if TYPE_CHECKING:
    from optmap.translate.steps.read.clips import Clip

GROUND: Final = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.With, ast.Assert, ast.Pass)
"""The kinds of statement that may move into a function."""
JUMPS: Final = (ast.Continue, ast.Break, ast.Return, ast.Raise)
HARMLESS: Final = frozenset(
    {"print", "float", "int", "len", "str", "round", "sum", "min", "max", "abs", "range", "list", "tuple", "enumerate",
     "zip", "next", "iter", "bool", "format", "isinstance", "dict"}
)  # fmt: skip
"""Builtins that neither hold parameters nor look at gradients."""
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
FIELDS: Final = ("body", "orelse", "finalbody")


class NotPlain(Exception):
    """The step is not plain; the message is a clause that says why."""


class Accumulates(NotPlain):
    """Gradients may be summed up over several backward passes."""


class Ready(NamedTuple):
    """A statement that constructs an optimizer, and the models to put into training mode behind it, as named there."""

    statement: ast.stmt
    models: tuple[tuple[str, ...], ...]


class Plan(NamedTuple):
    """A plain step. `region` becomes the body of the forward function, `gone` disappears, `step` becomes the update.

    The function is defined in front of `hoist`. `loss` is the variable that holds the loss, None where it has none.
    `arguments` are passed to the function, `returned` are the names besides the loss that it must give back. `training`
    are models that must be put into training mode in front of the function, `ready` says where others are. `clips` clip
    the gradients before the update. `head` is the statement whose block the region is, for a gradient tape; `toggled` are
    models that are in training mode for the call alone.
    """

    holder: Holder
    region: tuple[ast.stmt, ...]
    gone: tuple[ast.stmt, ...]
    backward: ast.stmt
    step: ast.Expr
    hoist: ast.stmt
    loss: str | None
    value: ast.expr
    arguments: tuple[str, ...]
    returned: tuple[str, ...]
    training: tuple[tuple[str, ...], ...]
    ready: tuple[Ready, ...]
    clips: tuple[Clip, ...]
    head: ast.With | None = None
    toggled: tuple[tuple[str, ...], ...] = ()

    @property
    def anchor(self) -> ast.stmt:
        """The statement that the call of the gradient function replaces."""
        return self.head or (self.region[0] if self.region else self.backward)


class Reading:
    """One training step around an `optimizer.step()`, as far as it has been read.

    What has been found so far can be shown even where the step turns out not to be plain.
    """

    def __init__(self, source: Source, finder: Finder, events: Sequence[Event], event: Event) -> None:
        assert event.holder is not None
        self.source = source
        self.names: Names = finder.names
        self.finder = finder
        self.events = events
        self.event = event
        self.holder: Holder = event.holder
        self.function: ast.AST = function_of(event, source)
        self.block: Block = []
        self.region: list[ast.stmt] = []
        self.backward: ast.Expr | None = None
        self.loss: str | None = None
        self.total: ast.expr | None = None
        self.arguments: list[str] = []
        self.returned: list[str] = []
        self.ready: list[Ready] = []
        self.clips: list[Clip] = []
        self.head: ast.With | None = None

    def _owner(self, name: str) -> Scope | None:
        scope = self.finder.scopes[id(self.function)]
        return scope.owner(name)

    def _depth(self) -> int:
        return next((i + 1 for i, node in enumerate(self.event.ancestors) if node is self.function), 0)

    def _here(self, event: Event) -> bool:
        return function_of(event, self.source) is self.function

    def _own_statements(self) -> Iterator[ast.stmt]:
        yield from (s for s in same_scope(self.function.body) if isinstance(s, ast.stmt))  # type: ignore[attr-defined]

    def _mentions(self, node: ast.AST, chain: tuple[str, ...]) -> bool:
        return any(
            isinstance(item, ast.Attribute | ast.Name) and chain_of(item) == chain for item in ast.walk(node)
        )  # fmt: skip


def deleted(tree: ast.AST, name: str) -> int | None:
    """The line of a `del` of the name, if there is one: the name would have no value any more."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del))
    return next((node.lineno for node in nodes if node.id == name), None)


def heads(node: ast.For | ast.With) -> set[str]:
    """The names that the head of a loop or of a with statement binds."""
    if isinstance(node, ast.For):
        return targets(node.target)
    return {name for item in node.items if item.optional_vars for name in targets(item.optional_vars)}


def function_of(event: Event, source: Source) -> ast.AST:
    """The innermost function or class around an event, or the module."""
    around = (node for node in reversed(event.ancestors) if isinstance(node, (*FUNCTIONS, ast.ClassDef)))
    return next(around, source.tree)


def receiver(statement: ast.Expr) -> ast.expr:
    call = statement.value
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def is_backward(statement: ast.AST) -> bool:
    """`loss.backward(...)` as a statement."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "backward"


def block_of(parent: ast.AST, statement: ast.stmt) -> Block:
    """The list of statements that holds the statement."""
    for field in FIELDS:
        block = getattr(parent, field, None)
        if isinstance(block, list) and any(item is statement for item in block):
            return block
    raise NotPlain("the step stands in an unusual place")


def changes(statement: ast.stmt) -> set[str]:
    """What a statement binds, and objects that it may change: `x[0] = ...`, `x.append(...)`.

    Attributes of self stand for themselves, as `self.x`; `self` alone stands for all of them.
    """
    found = binds(statement)
    for node in ast.walk(statement):
        stored = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
        if stored and isinstance(node, ast.expr):
            found.add(_object(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if isinstance(function, ast.Attribute):
                found.add(_object(function.value))
    return found - {""}


def wants(node: ast.AST) -> set[str]:
    """What a node reads, in the same words."""
    found = {use.name for use in reads(node)} - {"self"}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self":
            found.add(f"self.{inner.attr}")
    return found


def _object(node: ast.expr) -> str:
    """The variable, or the attribute of self, that an expression begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        inner = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == "self":
            return f"self.{node.attr}"
        node = inner
    return node.id if isinstance(node, ast.Name) else ""


def in_order(statement: ast.stmt, names: set[str]) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node.id in names:
            yield node.id


def shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 50 else text[:47] + "..."

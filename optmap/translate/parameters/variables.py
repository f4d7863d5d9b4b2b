"""What a step of a TensorFlow optimizer trains: models, single variables, lists of them, or the values of a dictionary."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Final

from optmap.mapping.frameworks import Parameters
from optmap.source.model import How, Module, Variable
from optmap.source.syntax import chain_of
from optmap.translate.parameters.groups import values_of
from optmap.values import NamedTuple

_MANY: Final = 20_000
"""Terms after which a sum is given up."""


class TrainedKind(Enum):
    """How a part gives variables."""

    MODEL = auto()
    SINGLE = auto()
    LIST = auto()
    EACH = auto()


class Trained(NamedTuple):
    """A part of what is trained: the model, the variable, the list, or the dictionary whose values are variables."""

    node: ast.expr
    kind: TrainedKind

    @property
    def text(self) -> str:
        return ast.unparse(self.node)


def parts_of(module: Module, node: ast.expr, given: Collection[str]) -> Sequence[Trained]:
    """The parts of `X.trainable_variables`, `[W, b]`, `list(weights.values())`, sums of those, or a name that holds one."""
    found: list[Trained] = []
    stack = [node]
    for _ in range(_MANY):
        if not stack:
            return found
        item = stack.pop()
        inner = _inside(module, item)
        if inner is not None:
            stack += reversed(inner)
        elif isinstance(item, ast.Attribute) and item.attr in given and chain_of(item) is not None:
            found.append(Trained(item.value, TrainedKind.MODEL))
        elif isinstance(item, ast.Call) and (values := values_of(item)) is not None and chain_of(values):
            found.append(Trained(values, TrainedKind.EACH))
        elif isinstance(module.parent(item), ast.List | ast.Tuple) and chain_of(holding(item)) is not None:
            found.append(Trained(item, TrainedKind.SINGLE))
        elif isinstance(item, ast.Name | ast.Attribute) and module.variable(item) is not None:
            value = _only_value(module, item)
            if value is None or _is_opaque(module, value):
                found.append(Trained(item, TrainedKind.LIST))
            else:
                stack.append(value)
        else:
            break
    return []


def _is_opaque(module: Module, value: ast.expr) -> bool:
    """Tell whether a value is a list made in a way that is not looked into: by another function, or by a comprehension."""
    if isinstance(value, ast.Call) and module.builtin(value.func):
        return False
    made = isinstance(value, ast.Call) and values_of(value) is None
    return made or isinstance(value, ast.ListComp)


def _inside(module: Module, node: ast.expr) -> list[ast.expr] | None:
    """What a sum, a display or a copy is made of; None for what is none of them."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, ast.List | ast.Tuple):
        return [item.value if isinstance(item, ast.Starred) else item for item in node.elts]
    copied = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
    if copied and isinstance(node, ast.Call) and module.builtin(node.func) in ("list", "tuple"):
        return [node.args[0]]
    return None


def holding(node: ast.expr) -> ast.expr:
    """The dictionary of `weights["w1"]`; anything else is itself."""
    return node.value if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) else node


def _only_value(module: Module, name: ast.Name | ast.Attribute) -> ast.expr | None:
    """What the one definition in force assigns to a name, unless that is another name."""
    variable = module.variable(name)
    bindings = module.in_force(variable, name) if variable is not None else ()
    only = bindings[0] if len(bindings) == 1 and bindings[0].how is How.ASSIGNED else None
    if only is None or variable is None or changed(module, variable) is not None:
        return None
    return None if isinstance(only.value, ast.Name) else only.value


def changed(module: Module, variable: Variable) -> ast.expr | None:
    """A place that changes what a list or dictionary holds: `variables.append(b)`, `weights["out"] = w`."""
    for use in variable.uses:
        outer = module.parent(use)
        stored = isinstance(outer, ast.Subscript) and not isinstance(outer.ctx, ast.Load)
        if stored or (isinstance(outer, ast.Attribute) and outer.attr in CHANGING):
            return use
    return None


CHANGING: Final = ("append", "extend", "insert", "remove", "pop", "clear", "update", "setdefault", "popitem")


def text_of(parts: Sequence[Trained], names: Parameters) -> str:
    """The parameters that the parts stand for, as the target's optimizers take them."""
    written = [f"{part.text}.{names.trainable}()" if part.kind is TrainedKind.MODEL else part.text for part in parts]
    written = [
        f"{text}.values()" if part.kind is TrainedKind.EACH else text for text, part in zip(written, parts, strict=True)
    ]
    if len(parts) == 1 and parts[0].kind in (TrainedKind.MODEL, TrainedKind.LIST):
        return written[0]
    if not names.one_pass and all(part.kind is TrainedKind.MODEL for part in parts):
        return " + ".join(written)
    stars = (text if part.kind is TrainedKind.SINGLE else f"*{text}" for text, part in zip(written, parts, strict=True))
    return f"[{', '.join(stars)}]"

"""How groups of parameters, and the methods of models that give parameters, are written; what an argument holds of them."""

from __future__ import annotations

import ast
from enum import Enum, auto
from typing import Final

from optmap.mapping.framework import Framework
from optmap.source.syntax import called, chain_of
from optmap.translate.constructors.resolve import Groups
from optmap.values import NamedTuple

PASS_ON: Final = ("list", "tuple", "iter", "chain", "reversed", "from_iterable")
"""Functions whose arguments are, or hold, what they return."""
LOOP_ONLY: Final = ("enumerate", "sorted", "zip")
"""The same, as long as what they return is only iterated over."""
_LAZY: Final = ("filter", "map", "iter", "chain", "reversed", "from_iterable", "zip")
"""Functions that return an iterator."""

Key = tuple[int, str]


class Role(Enum):
    """What a value stands for: the whole argument, one element of it, the `params` of a group, or a dict of elements."""

    WHOLE = auto()
    ITEM = auto()
    PARAMS = auto()
    MAPPING = auto()


class Lost(NamedTuple):
    """Why a variable cannot be followed: a clause, and whether the variable holds groups."""

    reason: str
    groups: bool


class GroupEntry(NamedTuple):
    """One key of a group: a string, or a keyword of dict(...); `sets` unless it is only read."""

    key: str
    node: ast.Constant | ast.keyword
    value: ast.expr
    sets: bool = True


class ParametersArgument:
    """What a parameters argument holds; every list is in the order in which it was read, without repetitions.

    `accessors` are calls such as `net.parameters()`, `unnamed` those that give names as well and stand for parameters alone,
    `single` tensors that need a list around them, `lazy` iterators over the parameters of a group. `opaque` are parts that
    say nothing about what they hold, `lost` why variables were not followed, `unreadable` a group whose keys cannot be
    read. `literals` are the strings that parameters' names are compared with, `picks` says whether names are looked at at
    all, `name_attribute` whether parameters are asked for their own. `asked` are accessors that only conditions look at,
    `sums` those of iterators, which cannot be added up. `idle` are groups and entries of groups that do nothing.
    """

    def __init__(self) -> None:
        self.entries: list[GroupEntry] = []
        self.accessors: list[ast.Call] = []
        self.unnamed: list[ast.Call] = []
        self.single: list[ast.expr] = []
        self.lazy: list[ast.expr] = []
        self.filters: list[ast.Call] = []
        self.asked: list[ast.Call] = []
        self.sums: list[ast.BinOp] = []
        self.idle: list[ast.Dict | GroupEntry] = []
        self.opaque: list[ast.expr] = []
        self.unreadable: ast.expr | None = None
        self.lost: list[Lost] = []
        self.literals: dict[str, None] = {}
        self.picks = False
        self.name_attribute = False

    @property
    def groups(self) -> Groups | None:
        """The keys of all groups; None where there are none."""
        keys = (entry.key for entry in self.entries if entry.key != "params" and entry.sets)
        return Groups(tuple(keys)) if self.entries else None


def makes_tensor(call: ast.Call, framework: Framework) -> bool:
    """`torch.zeros(3)`, `nn.Parameter(w)`: one tensor, rather than a function that may yield parameters."""
    chain = chain_of(call.func) or ("",)
    return chain[0] in framework.facts.packages or chain[-1][:1].isupper()


def is_lazy(node: ast.expr) -> bool:
    return isinstance(node, ast.GeneratorExp) or (isinstance(node, ast.Call) and called(node) in _LAZY)


def dict_inside(node: ast.Call) -> ast.expr | None:
    """`dict(pairs)` and `pairs.items()`, which give the same pairs as what is inside."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "items" and not node.args and not node.keywords:
        return node.func.value
    if called(node) in ("dict", "OrderedDict") and len(node.args) == 1 and not node.keywords:
        return node.args[0]
    return None


def values_of(node: ast.Call) -> ast.expr | None:
    """The dict that `pairs.values()` asks for its values."""
    plain = isinstance(node.func, ast.Attribute) and node.func.attr == "values" and not node.args and not node.keywords
    return node.func.value if plain and isinstance(node.func, ast.Attribute) else None


def is_group(node: ast.AST) -> bool:
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return "params" in keys or "order_params" in keys or None in node.keys
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return any(keyword.arg in ("params", None) for keyword in node.keywords)
    return False


def group_entries(display: ast.expr) -> list[GroupEntry] | None:
    """Return the keys of a group; None where one of them is hidden by unpacking or computed."""
    entries = []
    if isinstance(display, ast.Dict):
        for key, value in zip(display.keys, display.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            entries.append(GroupEntry(key.value, key, value))
        return entries
    assert isinstance(display, ast.Call)
    if display.args:
        return None
    for keyword in display.keywords:
        if keyword.arg is None:
            return None
        entries.append(GroupEntry(keyword.arg, keyword, keyword.value))
    return entries

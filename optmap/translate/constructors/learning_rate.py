"""Is the learning rate a number, or an object of the source framework that the target cannot take?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final

from optmap.mapping.model import MappingSet
from optmap.source.syntax import chain_of
from optmap.translate.discover.sites import CallSite
from optmap.values import NamedTuple


class RateKind(Enum):
    """What a learning rate is that is no plain number."""

    FUNCTION = auto()
    LIST = auto()
    ARRAY = auto()
    FRAMEWORK_VALUE = auto()
    SCHEDULE = auto()
    OWN_SCHEDULE = auto()
    OBJECT = auto()
    RETURNED = auto()


_TEXTS: Final = {
    RateKind.FUNCTION: "a function",
    RateKind.LIST: "a list with a value for each step",
    RateKind.ARRAY: "a numpy array with a value for each step",
    RateKind.FRAMEWORK_VALUE: "{}",
    RateKind.SCHEDULE: "the schedule {}",
    RateKind.OWN_SCHEDULE: "the schedule {}",
    RateKind.OBJECT: "an object of {}",
    RateKind.RETURNED: "what {}(...) returns, perhaps a rate for each step",
}


class RateObject(NamedTuple):
    """A learning rate that is no plain number; `name` is what the file calls its class or function, if anything."""

    kind: RateKind
    name: str = ""

    @property
    def text(self) -> str:
        """The object in a sentence."""
        return _TEXTS[self.kind].format(self.name)


_ARRAYS: Final = frozenset(
    ("array", "asarray", "linspace", "arange", "concatenate", "full", "ones", "zeros", "geomspace")
)
"""Functions of numpy that make an array with a value for each step."""
_RATES: Final = frozenset(
    ("lr", "lrs", "rate", "rates", "schedule", "scheduler", "warmup", "cosine", "decay", "annealing", "noam")
)
"""Words in the name of what makes learning rates, in MindSpore's examples mostly one for each step."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def learning_rate_object(site: CallSite, node: ast.expr, tables: MappingSet) -> RateObject | None:
    """The object that the learning rate may be; None where nothing but a number is seen."""
    return _Describer(site, tables).first([node])


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """What a sum, a product and the like is made of; it may have thousands of terms."""
    ahead = [node]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.BinOp):
            ahead += (node.right, node.left)
        else:
            yield node


class _Describer:
    def __init__(self, site: CallSite, tables: MappingSet) -> None:
        self.module = site.module
        self.tables = tables
        self.takes_lists = site.api.framework.facts.rates.lists
        self.seen: set[int] = set()

    def first(self, nodes: Iterable[ast.expr]) -> RateObject | None:
        """The first object among the values of some expressions."""
        terms = (term for node in nodes for term in _terms(node))
        values = (value for term in terms for value in self.module.reaching(term, calls=False).values)
        return next((found for value in values if (found := self._value(value)) is not None), None)

    def _value(self, node: ast.expr) -> RateObject | None:
        if id(node) in self.seen:
            return None
        self.seen.add(id(node))
        if isinstance(node, ast.Lambda):
            return RateObject(RateKind.FUNCTION)
        if isinstance(node, ast.List | ast.Tuple | ast.ListComp) and self.takes_lists:
            return RateObject(RateKind.LIST)
        if isinstance(node, ast.BinOp):
            return self.first([node])
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return self.first([node.value])
        return self._call(node) if isinstance(node, ast.Call) else None

    def _call(self, node: ast.Call) -> RateObject | None:
        found = self._made(node, chain_of(node.func) or ())
        if found is None and isinstance(node.func, ast.Attribute) and node.func.attr != "item":
            return self.first([node.func.value])  # lr.astype(...)
        return found

    def _made(self, node: ast.Call, chain: tuple[str, ...]) -> RateObject | None:
        """What a call of a class, of the framework's or numpy's functions, or of one of the file gives."""
        if not chain:
            return None
        paths = [path for path in self.module.paths(node.func) if path is not None]
        for path in paths:
            if path in self.tables.rate_objects:
                return RateObject(RateKind.FRAMEWORK_VALUE, self.tables.rate_objects[path])
            if self._is_schedule(path):
                return RateObject(RateKind.SCHEDULE, ".".join(chain))
        owner = self.module.definition(node.func)
        if isinstance(owner, ast.ClassDef) and any(map(self._is_schedule, self._bases(owner))):
            return RateObject(RateKind.OWN_SCHEDULE, owner.name)
        if any(path.rpartition(".")[2] in _ARRAYS and "numpy" in path.split(".")[:-1] for path in paths):
            return RateObject(RateKind.ARRAY) if self.takes_lists else None
        return self._returned(node, chain) if self.takes_lists else None

    def _returned(self, node: ast.Call, chain: tuple[str, ...]) -> RateObject | None:
        """What a function gives that MindSpore's optimizers may take one rate for each step from."""
        function = self.module.function(node)
        returned = self.module.returns(function) if function is not None else ()
        found = self.first(returned)
        if found is not None or (function is not None and all(map(_is_number, returned))):
            return found
        if not _RATES & {word.lower() for word in _WORDS.findall(chain[-1])}:
            return None
        if chain[-1][:1].isupper():
            return RateObject(RateKind.OBJECT, chain[-1])
        return RateObject(RateKind.RETURNED, ".".join(chain))

    def _is_schedule(self, path: str | None) -> bool:
        found = self.tables.find(path) if path else None
        return found is not None and found[1].partition(".")[0] in found[0].schedules

    def _bases(self, owner: ast.ClassDef) -> Iterator[str | None]:
        """What a class of this file derives from, directly or through others of the file."""
        classes = [owner]
        for item in classes:  # grows while it is walked
            classes += [base for base in self.module.bases(item).known if base not in classes]
            yield from (path for base in item.bases for path in self.module.paths(base))


def _is_number(node: ast.expr) -> bool:
    """Arithmetic that has a number in it, and no list: `base * 0.9 ** epoch`."""
    numbers = (isinstance(item, ast.Constant) and isinstance(item.value, int | float) for item in ast.walk(node))
    return isinstance(node, ast.Constant | ast.BinOp | ast.UnaryOp) and any(numbers)

"""What a learning rate is, as far as can be seen: a number, one for each step, or a schedule that is called with the step."""

from __future__ import annotations

import ast
from enum import Enum, auto
from typing import Final

from optmap.mapping.model import MappingSet
from optmap.source.syntax import called
from optmap.translate.constructors.learning_rate import RateKind, learning_rate_object
from optmap.translate.discover.sites import CallSite

_NUMBERS: Final = ("float", "int", "round", "abs", "min", "max", "pow")
_SAME: Final = ("array", "asarray", "Tensor", "tensor", "Parameter", "list", "tuple")
"""Functions that hold what they are given: a number, or one for each step."""


class RateSort(Enum):
    """What an expression gives, as far as can be seen."""

    NUMBER = auto()
    RATES = auto()
    EITHER = auto()
    SCHEDULE = auto()


_KINDS: Final = {
    RateKind.ARRAY: RateSort.RATES,
    RateKind.RETURNED: RateSort.RATES,
    RateKind.OBJECT: RateSort.SCHEDULE,
    RateKind.OWN_SCHEDULE: RateSort.SCHEDULE,
}


def _joined(sorts: set[RateSort | None]) -> RateSort | None:
    """What one of several values is."""
    if len(sorts) == 1:
        return next(iter(sorts))
    return RateSort.EITHER if sorts and sorts <= {RateSort.NUMBER, RateSort.RATES, RateSort.EITHER} else None


class RateSorts:
    """Tells what expressions give that may be the learning rate of a call."""

    def __init__(self, site: CallSite, tables: MappingSet) -> None:
        self.site = site
        self.module = site.module
        self.tables = tables
        self.seen: set[int] = set()

    def held(self, node: ast.expr) -> ast.expr | None:
        """What an expression does nothing but put into a tensor of the source framework."""
        if not isinstance(node, ast.Call) or not node.args or isinstance(node.args[0], ast.Starred):
            return None
        tensor = any(path in self.tables.rate_objects for path in self.module.paths(node.func) if path is not None)
        return node.args[0] if tensor else None

    def sort(self, node: ast.expr) -> RateSort | None:
        """What all values of an expression are."""
        reaching = self.module.reaching(node, calls=False)
        values = (item for item in reaching.values if not (isinstance(item, ast.Constant) and item.value is None))
        found = {self._of(value) for value in values if id(value) not in self.seen}
        return _joined(found | (set() if reaching.complete else {RateSort.EITHER}))

    def _of(self, node: ast.expr) -> RateSort | None:
        self.seen.add(id(node))
        found = self._value(node)
        self.seen.discard(id(node))
        return found

    def _value(self, node: ast.expr) -> RateSort | None:
        if isinstance(node, ast.Constant):
            return RateSort.NUMBER if isinstance(node.value, int | float) else None
        if isinstance(node, ast.List | ast.Tuple | ast.ListComp):
            return RateSort.RATES
        if isinstance(node, ast.BinOp):
            sides = {self.sort(node.left), self.sort(node.right)}
            if sides <= {RateSort.NUMBER, RateSort.RATES, RateSort.EITHER}:
                return RateSort.RATES if RateSort.RATES in sides else _joined(sides)
            return None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return self.sort(node.value)
        if isinstance(node, ast.Call):
            return self._call(node)
        return RateSort.EITHER if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) else None

    def _call(self, node: ast.Call) -> RateSort | None:
        name, held = called(node), self.held(node)
        if self.module.builtin(node.func) in _NUMBERS:
            return RateSort.NUMBER
        if held is not None or (name in _SAME and node.args):
            found = self.sort(node.args[0])
            made = self.module.reaching(node.args[0], calls=False).values  # tensors are made of what functions give
            if found is None and held is not None:
                return RateSort.RATES if made and all(map(self._is_function, made)) else RateSort.EITHER
            return found
        function = self.module.function(node)
        returned = self.module.returns(function) if function is not None else ()
        sort = _joined({self.sort(value) for value in returned})
        what = learning_rate_object(self.site, node, self.tables) if sort is None else None
        if sort is not None or what is not None:
            return sort or _KINDS.get(what.kind if what is not None else RateKind.LIST)
        asked = isinstance(node.func, ast.Attribute) and node.func.attr != "item"
        return self.sort(node.func.value) if asked and isinstance(node.func, ast.Attribute) else None

    def _is_function(self, node: ast.expr) -> bool:
        """Tell whether an expression is the call of a function of another file."""
        return isinstance(node, ast.Call) and self.module.function(node) is None and self._of(node) is None

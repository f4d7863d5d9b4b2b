"""What do results surely depend on? The statements of a function, read backward."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from optmap.source.model import How, Module
from optmap.source.syntax import argument_values, chain_of, inner
from optmap.translate.discover.trained import Chain, values_of

_STOPS: Final = ("detach", "stop_gradient", "no_grad")
_METHODS: Final = frozenset(
    {"exp", "log", "pow", "square", "sqrt", "abs", "sum", "mean", "norm", "t", "T", "mT", "view", "view_as", "reshape", "expand",
     "expand_as", "repeat", "unsqueeze", "squeeze", "transpose", "permute", "contiguous", "mul", "add", "sub", "div", "matmul",
     "mm", "softmax", "sigmoid", "tanh", "relu", "clamp", "to", "float", "flatten"}
)  # fmt: skip
"""What may be asked of a parameter so that gradients go on to it."""
Results: TypeAlias = Sequence[tuple[int, bool]]
"""The places of results that are used, each with whether the loss would not be one if it were None."""
GROUPS: Final = ("Sequential", "SequentialCell", "ModuleList", "CellList", "ModuleDict")
"""What holds layers has those that it is given."""


class Body:
    """The statements of a function, read backward from what it gives: which names and attributes of self it depends on."""

    def __init__(
        self, module: Module, family: Sequence[ast.ClassDef], body: Sequence[ast.stmt], results: Results = ()
    ) -> None:
        self.results = results
        self.sure: set[str] = set()
        self.module = module
        self.family = family
        self.body = body
        self.calls: list[ast.FunctionDef] = []

    def returned(self) -> set[Chain]:
        """The attributes of self that every result depends on."""
        found = self._after(list(self.body))
        return {chain for chain in found or () if len(chain) > 1 and chain[0] == "self"}

    def used(self, statements: Sequence[ast.stmt], wanted: set[str]) -> set[Chain]:
        """The names and chains that values of `wanted` names, at the end of the statements, surely depend on."""
        found: set[Chain] = {(name,) for name in wanted}
        for statement in reversed(statements):
            found |= self._statement(statement, found)
        return found

    def _after(self, statements: list[ast.stmt]) -> set[Chain] | None:
        """What the function's result depends on if it goes through the statements; None where it gives none."""
        for place, statement in enumerate(statements):
            if isinstance(statement, ast.Return):
                start = self._given(statement.value) if statement.value is not None else set()
                return self._through(statements[:place], start)
            if isinstance(statement, ast.If) and any(isinstance(item, ast.Return) for item in inner(statement)):
                rest = statements[place + 1 :]
                ways = [self._after([*block, *rest]) for block in (statement.body, statement.orelse)]
                sets = [way for way in ways if way is not None]
                if not sets:
                    return None
                both = set.union(*sets) if self._is_constant(statement.test) else set.intersection(*sets)
                return self._through(statements[:place], both)
        return None

    def _given(self, value: ast.expr) -> set[Chain]:
        """What the results depend on, of several those that are used."""
        if not self.results or self.calls:
            return self._reads(value)
        places = value.elts if isinstance(value, ast.Tuple) else []
        used = [(places[place], sure) for place, sure in self.results if place < len(places)]
        self.sure |= {item.id for item, sure in used if sure and isinstance(item, ast.Name)}
        return set().union(*(self._reads(item) for item, _ in used))

    def _through(self, statements: Sequence[ast.stmt], found: set[Chain]) -> set[Chain]:
        for place, statement in reversed(list(enumerate(statements))):
            found = found | self._statement(statement, found, statements[:place])
            self.sure -= _stored(statement)
        return found

    def _is_none(self, block: Sequence[ast.stmt], before: Sequence[ast.stmt]) -> bool:
        """Tell whether a way through a condition leaves a result None without which there is no loss."""
        for name in self.sure:
            last = next((item for item in reversed((*before, *block)) if name in _stored(item)), None)
            value = last.value if isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name) else None
            if isinstance(value, ast.Constant) and value.value is None:
                return True
        return False

    def _statement(self, statement: ast.stmt, wanted: set[Chain], before: Sequence[ast.stmt] = ()) -> set[Chain]:
        """What the statement makes the wanted values depend on."""
        if isinstance(statement, ast.If):
            blocks = [item for item in (statement.body, statement.orelse) if not self._is_none(item, before)]
            ways = [self._through(block, wanted) for block in blocks] or [set()]
            return set.union(*ways) if self._is_constant(statement.test) else set.intersection(*ways)
        if isinstance(statement, ast.For):
            once = not any(isinstance(item, ast.Break | ast.Continue) for item in inner(statement))
            found = self._through(statement.body, self._through(statement.body, wanted)) if once else set()
            own = {(item.id,) for item in inner(statement.target) if isinstance(item, ast.Name)}
            return found | (self._reads(statement.iter) if own & found else set())
        if isinstance(statement, ast.With):
            stops = any(word in ast.unparse(item.context_expr) for item in statement.items for word in _STOPS)
            return set() if stops else self._through(statement.body, wanted)
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = {item.id for target in targets for item in inner(target) if isinstance(item, ast.Name)}
            return (
                self._reads(statement.value)
                if statement.value is not None and names & {c[0] for c in wanted}
                else set()
            )
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            chain = chain_of(statement.value.func)  # results.append(value)
            return self._reads(statement.value) if chain is not None and (chain[0],) in wanted else set()
        return set()

    def _reads(self, node: ast.AST) -> set[Chain]:
        """The names, and attributes of self, that an expression depends on in any case."""
        if isinstance(node, ast.Call):
            if (chain_of(node.func) or (getattr(node.func, "attr", ""),))[-1] in _STOPS:
                return set()
            own = self._own(node)
            found = own if own is not None else self._reads(node.func)
            return found.union(*(self._reads(item) for item in argument_values(node)))
        if isinstance(node, ast.IfExp):
            ways = self._reads(node.body), self._reads(node.orelse)
            return ways[0] | ways[1] if self._is_constant(node.test) else ways[0] & ways[1]
        if isinstance(node, ast.BoolOp | ast.Lambda):
            return self._reads(node.values[0]) if isinstance(node, ast.BoolOp) else set()
        chain = chain_of(node)
        if chain is not None:
            return {chain[:1], chain}
        if isinstance(node, ast.Subscript):
            return (
                self._reads(node.value) if self._is_whole(node) else self._reads(node.value) - _attributes(node.value)
            )
        return set().union(*(self._reads(item) for item in ast.iter_child_nodes(node)))

    def _is_whole(self, node: ast.Subscript) -> bool:
        """`self.layers[i]` in a loop over `range(len(self.layers))`; a tensor's elements depend on all that it does."""
        variable = self.module.variable(node.value) if chain_of(node.value) is not None else None
        values = values_of(variable) if variable is not None else ()
        if not any((chain_of(value.func) or ("",))[-1] in GROUPS for value in values if isinstance(value, ast.Call)):
            return True
        loops = [item for item in self.module.ancestors(node) if isinstance(item, ast.For | ast.comprehension)]
        return any(ast.unparse(loop.iter) == f"range(len({ast.unparse(node.value)}))" for loop in loops)

    def _own(self, call: ast.Call) -> set[Chain] | None:
        """What the result of a method of the class itself depends on."""
        called = call.func if isinstance(call.func, ast.Attribute) and self.family else None
        if called is None or ast.unparse(called.value) not in ("self", "super()"):
            return None
        owners = self.family[:1] if isinstance(called.value, ast.Name) else self.family[1:]
        methods = (self.module.method(owner, called.attr) for owner in owners)
        method = next((item for item in methods if item is not None), None)
        if method is None or method in self.calls:
            return None
        self.calls.append(method)
        found = self._after(list(method.body)) or set()
        self.calls.pop()
        return {item for item in found if len(item) == 2 and item[0] == "self"}

    def _is_constant(self, test: ast.expr) -> bool:
        """Tell whether a condition is decided when the object is made: it only reads attributes that `__init__` alone sets."""
        for node in inner(test):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                variable = self.module.attribute_of(self.family[0], node.attr) if self.family else None
                if variable is None or not all(self._is_made(item.target, item.how) for item in variable.bindings):
                    return False
            elif isinstance(node, ast.Name) and node.id != "self" and not self.module.is_builtin(node.id, at=node):
                variable = self.module.variable(node)
                fixed = variable is not None and variable.scope is self.module.tree and len(variable.bindings) == 1
                if not fixed:
                    return False
            elif isinstance(node, ast.Call) and (chain_of(node.func) or ("",))[-1] not in (
                "isinstance",
                "len",
                "hasattr",
            ):
                return False
        return True

    def _is_made(self, target: ast.AST, how: How) -> bool:
        return how is not How.OUTSIDE and getattr(self.module.function_of(target), "name", "") == "__init__"


def _attributes(node: ast.AST) -> set[Chain]:
    chain = chain_of(node)
    return {chain} if chain is not None and len(chain) > 1 else set()


def computed_with(used: Collection[Chain], name: str) -> bool:
    """Tell whether something is computed of a parameter through which gradients go on to it."""
    return any(chain[1] == name and len(chain) == 3 and chain[2] in _METHODS for chain in used)


def _stored(statement: ast.stmt) -> set[str]:
    return {node.id for node in inner(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

"""Code that asks a model for its class, as initialization does: `isinstance(m, nn.Linear)`, `classname.find("Conv") != -1`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from optmap.mapping.steps import Pair, Table
from optmap.source.model import Module
from optmap.source.syntax import Function
from optmap.source.templates import Template
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.kinds import Kind, Kinds

Reference = Callable[[ast.expr, str], None]


class Classes:
    """Which rows a model may be of where an expression stands, and what becomes of the questions that tell."""

    def __init__(self, module: Module, table: Table, kinds: Kinds, references: Sequence[ast.expr]) -> None:
        self.module = module
        self.table = table
        self.kinds = kinds
        found = (row for node in references for row in table.callables.get(kinds.path(node) or "", ()))
        self.made = list({pair.one.path: pair for pair in found if pair.makes_model and pair.other.path}.values())

    def row(self, node: ast.expr) -> Pair | None:
        """The row of a class that is only named, where the target has one class for it, and for nothing else."""
        path = self.kinds.path(node) or ""
        every = self.table.callables.get(path, ())
        rows = [pair for pair in every if not pair.other.text]
        if not rows or not all(pair.other.name[:1].isupper() and pair.makes_model for pair in rows):
            return None
        target = rows[0].other.path
        if not all(pair in rows or pair.other.text.startswith(f"{target}(") for pair in every):
            return None
        others = {key for key, pairs in self.table.callables.items() if any(one.other.path == target for one in pairs)}
        return rows[0] if others == {path} and all(one.other.path == target for one in rows) else None

    def is_asked(self, node: ast.expr) -> bool:
        """Tell whether a class is what `isinstance` is given, alone or in a tuple."""
        outer = self.module.parent(node)
        inside = outer if isinstance(outer, ast.Tuple) else node
        call = self.module.parent(inside)
        return (
            isinstance(call, ast.Call)
            and len(call.args) == 2
            and call.args[1] is inside
            and isinstance(call.func, ast.Name)
            and call.func.id == "isinstance"
            and self.module.is_builtin("isinstance", call.func)
        )

    def rows(self, model: ast.expr) -> list[Pair] | None:
        """The rows that a model is surely of one of, by the conditions around a place; None where they do not tell."""
        inside: ast.AST = model
        for outer in self.module.ancestors(model):
            if isinstance(outer, ast.If) and any(inside is item for item in outer.body):
                found = self._told(outer.test, ast.unparse(model))
                if found is not None:
                    return found
            if isinstance(outer, Function | ast.ClassDef):
                return None
            inside = outer
        return None

    def _told(self, test: ast.expr, model: str) -> list[Pair] | None:
        """The rows that a condition leaves for a model."""
        if isinstance(test, ast.BoolOp):
            parts = [self._told(item, model) for item in test.values]
            known = [item for item in parts if item is not None]
            if isinstance(test.op, ast.Or):
                return [pair for item in known for pair in item] if len(known) == len(parts) else None
            return known[0] if known else None
        if isinstance(test, ast.Call) and len(test.args) == 2 and ast.unparse(test.args[0]) == model:
            given = test.args[1]
            rows = [
                self.row(item)
                for item in (given.elts if isinstance(given, ast.Tuple) else [given])
                if self.is_asked(item)
            ]
            return [row for row in rows if row is not None] if rows and None not in rows else None
        for asked, word in self._words():
            if any(item is asked for item in ast.walk(test)) and not isinstance(test, ast.UnaryOp):
                return [pair for pair in self.made if word in pair.one.name]
        return None

    def _words(self) -> Iterator[tuple[ast.expr, str]]:
        """The words that names of models' classes are searched for, with the expressions that do."""
        for node in self.module.attributes("__name__"):
            if not self._is_class(node.value):
                continue
            held = self.module.holder(node)
            for use in held.uses if held is not None and len(held.bindings) == 1 else (node,):
                found = self._searched(use)
                if found is not None and isinstance(found[1], ast.Constant) and isinstance(found[1].value, str):
                    yield found[0], found[1].value

    def _searched(self, use: ast.expr) -> tuple[ast.expr, ast.expr] | None:
        """`use.find(word) != -1` or `word in use`, with the word."""
        outer = self.module.parent(use)
        call = self.module.parent(outer) if isinstance(outer, ast.Attribute) and outer.attr == "find" else None
        whole = self.module.parent(call) if call is not None else None
        if isinstance(call, ast.Call) and len(call.args) == 1 and isinstance(whole, ast.Compare):
            return (whole, call.args[0]) if ast.unparse(whole).endswith((" != -1", " >= 0", " > -1")) else None
        inside = isinstance(outer, ast.Compare) and isinstance(outer.ops[0], ast.In) and outer.comparators == [use]
        return (outer, outer.left) if inside and isinstance(outer, ast.Compare) else None

    def _is_class(self, node: ast.expr) -> bool:
        """`m.__class__` and `type(m)` of a model."""
        if isinstance(node, ast.Attribute) and node.attr == "__class__":
            return self.kinds.of(node.value).kind is Kind.MODEL
        plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type" and node.args
        return bool(plain) and isinstance(node, ast.Call) and self.kinds.of(node.args[0]).kind is Kind.MODEL

    def rewrite(self, changes: NameChanges) -> None:
        """Words that other classes' names have in the target are replaced, or refused."""
        for asked, word in self._words():
            source = {pair.one.path for pair in self.made if word in pair.one.name}
            if source == self._named(word):
                continue
            names = [pair.other.name for pair in self.made if pair.one.path in source]
            literal = next(item for item in ast.walk(asked) if isinstance(item, ast.Constant) and item.value == word)
            if len(set(names)) == 1 and self._named(names[0]) == source:
                changes.replace(literal, Template(repr(names[0])))
            else:
                changes.refuse(asked, f"{ast.unparse(asked)}, as the classes have other names")

    def _named(self, word: str) -> set[str]:
        return {pair.one.path for pair in self.made if word in pair.other.name}

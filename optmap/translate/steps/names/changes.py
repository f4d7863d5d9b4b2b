"""Changes of names and expressions beside the steps, collected while a file is rewritten."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optmap.source.changes import Change, Delete, Rename, Replace
from optmap.source.templates import CallTemplate, Template
from optmap.translate.constructors.spelling import NewImport

if TYPE_CHECKING:
    from optmap.mapping.steps import Pair


@dataclass
class NameChanges:
    """The changes, which references go away, what stays, and what should be known.

    `refused` is what nothing may be rewritten with, each with what is said of it.
    """

    changes: list[Change] = field(default_factory=list)
    touched: dict[int, Template | CallTemplate | None] = field(default_factory=dict)
    gone: list[ast.expr] = field(default_factory=list)
    needed: list[NewImport] = field(default_factory=list)
    stays: list[tuple[ast.expr, str | None]] = field(default_factory=list)
    staying: set[int] = field(default_factory=set)
    notes: list[tuple[ast.expr, Pair]] = field(default_factory=list)
    refused: list[tuple[ast.AST, str]] = field(default_factory=list)

    def replace(self, node: ast.expr, new: Template | CallTemplate) -> None:
        """Write another expression in place of one."""
        self.changes.append(Replace(node, new))
        self.touched[id(node)] = new

    def call(self, node: ast.Call, callee: str) -> None:
        """Call something else with the same arguments."""
        self.replace(node.func, Template(callee))
        self.touched.setdefault(id(node), None)

    def rename_to(self, node: ast.Attribute | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        self.changes.append(Rename(node, name))
        self.touched[id(node)] = None

    def drop(self, call: ast.Call, word: ast.keyword) -> None:
        """Take a keyword of a call away."""
        self.changes.append(Delete(word))
        self.touched.setdefault(id(call), None)

    def refuse(self, node: ast.AST, what: str) -> None:
        self.refused.append((node, what))

    def stay(self, node: ast.expr, reason: str | None) -> None:
        self.stays.append((node, reason))
        self.staying.add(id(node))

    def leaves(self, node: ast.expr) -> bool:
        """Tell whether an expression stays as it is."""
        return id(node) in self.staying

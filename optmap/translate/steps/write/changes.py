"""Edits of names and expressions beside the steps, collected while a file is rewritten."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optmap.source.edits import Edit
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport

if TYPE_CHECKING:
    from optmap.mapping.steps import Side


@dataclass
class NameChanges:
    """The edits, what they do to the tree, which references go away, what stays, and what should be known."""

    edits: list[Edit] = field(default_factory=list)
    expressions: dict[int, ast.AST] = field(default_factory=dict)
    fresh: list[ast.AST] = field(default_factory=list)
    gone: list[ast.expr] = field(default_factory=list)
    needed: list[NewImport] = field(default_factory=list)
    stays: list[tuple[ast.expr, str | None]] = field(default_factory=list)
    notes: list[tuple[ast.expr, Side]] = field(default_factory=list)

    def becomes(self, old: ast.AST, new: ast.AST) -> None:
        self.expressions[id(old)] = new
        self.fresh.append(new)

    def replace(self, source: Source, node: ast.expr, text: str) -> None:
        """Write another expression in place of one."""
        new = ast.parse(text, mode="eval").body
        self.edits.append(Edit(source.start(node), source.end(node), text))
        self.expressions[id(node)] = new
        self.fresh += ast.walk(new)

    def stay(self, node: ast.expr, reason: str | None) -> None:
        self.stays.append((node, reason))

"""What a translation does to a file, as values: each change gives the edits of the text and the tree that is expected.

Changes compose: those inside a slot are made wherever the slot goes, and equal changes of one node are one change.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import TypeAlias

from optmap.source.calls import Span
from optmap.source.layout import first_offset, whole_lines
from optmap.source.model import Module
from optmap.source.templates import Block, CallTemplate, Template
from optmap.source.text import Source
from optmap.values import NamedTuple

Member: TypeAlias = ast.alias | ast.keyword
Named: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Attribute | ast.keyword


class Where(Enum):
    """Where new statements go: before a statement, above the comments that stand over it, or behind its line."""

    BEFORE = auto()
    ABOVE = auto()
    AFTER = auto()


class Replace(NamedTuple):
    """An expression, a statement, or a run of statements with their lines becomes what the template says."""

    node: ast.expr | ast.stmt | Block
    template: Template | CallTemplate


class Rename(NamedTuple):
    """The name that a definition, an attribute or a keyword gives becomes another."""

    node: Named
    name: str


class Insert(NamedTuple):
    """New statements beside an old one."""

    anchor: ast.stmt
    where: Where
    template: Template


class Delete(NamedTuple):
    """A statement goes with its line, or a decorator, a name of an import, a keyword of a call, or an element of a list.

    An entry of a dictionary goes with its key and its value, each deleted.
    """

    node: ast.stmt | ast.expr | Member
    blank_lines: bool = False


Change: TypeAlias = Replace | Rename | Insert | Delete


class ConflictError(Exception):
    """Changes that cannot all be made."""

    def __init__(self, message: str, *changes: Change) -> None:
        super().__init__(message)
        self.changes = changes


def wraps(change: Change) -> bool:
    """Tell whether a node stays as a part of what takes its place: such changes of one node are made one around another."""
    template = change.template if isinstance(change, Replace) else None
    return isinstance(template, Template) and any(slot is change.node for _, slot in template.slots)  # type: ignore[union-attr]


def place_of(change: Change) -> ast.AST:
    """The node at which a change is made: the first of several."""
    node = change.anchor if isinstance(change, Insert) else change.node
    return node[0] if isinstance(node, tuple) else node


def texts_of(changes: Iterable[Change]) -> Iterator[str]:
    """The text that changes write, without the nodes of the file that it takes along."""
    templates = (change.template for change in changes if isinstance(change, Insert | Replace))
    return (piece for template in templates for piece in template.pieces if isinstance(piece, str))


def extent(source: Source, change: Change) -> Span:
    """The part of the file that a change is about."""
    node = change.anchor if isinstance(change, Insert) else change.node
    if isinstance(node, tuple):
        return whole_lines(source, node)
    if isinstance(node, ast.stmt):
        return Span(first_offset(source, node), source.end(node))
    return inner_span(source, node) if isinstance(node, ast.GeneratorExp) else span_of(source, node)


def inner_span(source: Source, node: ast.GeneratorExp) -> Span:
    """A generator expression's extent; where it is a call's only argument, its brackets are those of the call."""
    span, outer = span_of(source, node), Module.of(source).parent(node)
    lone = isinstance(outer, ast.Call) and source.end(outer) == span.end
    return Span(span.start + 1, span.end - 1) if lone else span


def span_of(source: Source, node: ast.expr | Member) -> Span:
    """The extent of a node, the brackets around it left out."""
    return Span(source.start(node), source.end(node))  # type: ignore[arg-type]

"""New code as text with slots for old nodes: what is written and what the tree must be follow from one template."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from optmap.source.text import SourceError
from optmap.values import NamedTuple

Block: TypeAlias = tuple[ast.stmt, ...]
Piece: TypeAlias = str | ast.expr | Block
"""A stretch of text, an expression of the old tree, or statements of the old tree that stand on lines of their own."""

_SLOT: Final = re.compile(r"\$(\w*)")
_PLACE: Final = "_slot_of_a_template_"
_ATOMS: Final = (
    ast.Name, ast.JoinedStr, ast.Attribute, ast.Call, ast.Subscript,
    ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp,
)  # fmt: skip
_LOOSE: Final = (
    ast.Call,
    ast.keyword,
    ast.List,
    ast.Tuple,
    ast.Assign,
    ast.AnnAssign,
    ast.Return,
    ast.Expr,
    ast.Module,
)
"""What an expression may stand in without brackets of its own, unless it would swallow a comma or be taken apart."""
_GREEDY: Final = (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Tuple, ast.GeneratorExp, ast.Starred)


class Template(NamedTuple):
    """Text in which `$name` stands for the slot of that name: an old expression, old statements, or another template."""

    text: str
    slots: tuple[tuple[str, ast.expr | Block | Template], ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The text and the old nodes in order; templates in slots are taken apart as well."""
        if not self.slots:
            return (self.text,) if self.text else ()
        name, slot = self.slots[0]
        if self.text == f"${name}":
            return slot.pieces if isinstance(slot, Template) else (slot,)
        return _joined(self._pieces())

    def _pieces(self) -> Iterator[Piece]:
        slots, position = dict(self.slots), 0
        for match in _SLOT.finditer(self.text):
            if match[1] not in slots:
                continue
            yield self.text[position : match.start()]
            slot = slots[match[1]]
            yield from slot.pieces if isinstance(slot, Template) else (slot,)
            position = match.end()
        yield self.text[position:]


def template(text: str, **slots: ast.expr | Sequence[ast.stmt] | Template) -> Template:
    """A template; a slot of statements must stand alone on its line."""
    made = ((name, slot if isinstance(slot, ast.expr | Template) else tuple(slot)) for name, slot in slots.items())
    return Template(text, tuple(made))


def copied(node: ast.expr) -> Template:
    """The template of an expression that stays what it is."""
    return Template("$", (("", node),))


class NewArgument(NamedTuple):
    """An argument of a new call; the name is `*` or `**` for one that is unpacked.

    `place` is that of the old argument that it stands for, None for a new one, `element` that of the element
    of a display there that it alone takes.
    """

    name: str | None
    value: Template
    place: int | None = None
    element: int | None = None

    @property
    def lead(self) -> str:
        """What stands before the value."""
        return "" if self.name is None else self.name + "=" * (self.name[0] != "*")


class CallTemplate(NamedTuple):
    """A call that takes the place of one: new arguments stand before or behind those that take the place of old ones.

    They get lines of their own where the old ones have some, unless they are to stand `beside` them.
    """

    callee: Template
    arguments: tuple[NewArgument, ...]
    beside: bool = False

    @property
    def pieces(self) -> tuple[Piece, ...]:
        found = [*self.callee.pieces, "("]
        for index, item in enumerate(self.arguments):
            found += ", " * (index > 0) + item.lead, *item.value.pieces
        return _joined((*found, ")"))


def _joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Pieces with neighbouring stretches of text put together."""
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        elif piece != "":
            found.append(piece)
    return tuple(found)


class Parsed(NamedTuple):
    """The tree of a template, in which names stand for slots, and what they stand for."""

    body: list[ast.stmt]
    slots: dict[str, ast.expr | Block]

    def nodes(self) -> list[ast.AST]:
        """Every node of the tree but contexts."""
        found: list[ast.AST] = [*self.body]
        for node in found:  # grows while it is walked
            for value in node.__dict__.values():
                if value.__class__ is list:
                    found += [item for item in value if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                    found.append(value)
        return found


def parse(pieces: Sequence[Piece], *, expression: bool) -> Parsed:
    """Parse a template once, whatever fills its slots. Raises SourceError."""
    slots: dict[str, ast.expr | Block] = {}
    parts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        name = f"{_PLACE}{id(piece if isinstance(piece, ast.expr) else piece[0])}_"
        slots[name] = piece
        parts.append(name)
    text = "".join(parts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(f"({text}\n)" if expression else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SourceError(f"the new code cannot be parsed: {error}") from None
    return Parsed(tree.body, slots)


def tight_slots(pieces: Sequence[Piece], *, expression: bool) -> frozenset[int]:
    """The ids of the slots' nodes that need brackets around them where they go."""
    if len(pieces) < 2:
        return frozenset()
    wanted = {id(piece) for piece in pieces if isinstance(piece, ast.expr) and not isinstance(piece, _ATOMS)}
    if not wanted:
        return frozenset()
    parsed = parse(pieces, expression=expression)
    found: set[int] = set()
    for outer in ast.walk(ast.Module(parsed.body, [])):
        for inner in ast.iter_child_nodes(outer):
            node = parsed.slots.get(inner.id) if isinstance(inner, ast.Name) else None
            if not isinstance(node, ast.expr) or id(node) not in wanted:
                continue
            loose = isinstance(outer, _LOOSE) and getattr(outer, "func", None) is not inner
            loose = loose or getattr(outer, "slice", None) is inner
            loose = loose or (isinstance(node, ast.Constant) and not isinstance(outer, ast.Attribute))
            loose = loose or (isinstance(outer, ast.BoolOp) and isinstance(node, ast.Compare | ast.UnaryOp))
            if not loose or isinstance(node, _GREEDY):
                found.add(id(node))
    return frozenset(found)

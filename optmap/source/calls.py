"""A call's arguments with their exact spans: parentheses, keywords, commas, comments and layout, which `ast` leaves out."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto

from optmap.source.text import Source, SourceError
from optmap.values import NamedTuple

_CLOSE, _COMMA, _EQUALS = ord(")"), ord(","), ord("=")


class Form(Enum):
    """How an argument is written."""

    POSITIONAL = auto()
    KEYWORD = auto()
    UNPACKED_LIST = auto()
    UNPACKED_MAPPING = auto()
    EMPTY = auto()


class Span(NamedTuple):
    """A half-open range of offsets into a source's body."""

    start: int
    end: int


class Argument(NamedTuple):
    """One argument: `span` covers all of it, `value_span` its value with any parentheses around it.

    `entry` marks a `"name": value` entry of an unpacked dict display, which stands for a keyword.
    """

    form: Form
    name: str | None
    node: ast.expr
    span: Span
    value_span: Span
    name_span: Span | None = None
    entry: bool = False


class Items(NamedTuple):
    """Comma-separated pieces between two brackets."""

    open: Span
    close: Span
    pieces: tuple[Span, ...]
    commas: tuple[Span, ...]

    @property
    def trailing_comma(self) -> Span | None:
        return self.commas[-1] if self.commas and len(self.commas) == len(self.pieces) else None


class CallText(NamedTuple):
    """A call with its callee's span, its brackets and its arguments in the order of the text.

    Displays that are unpacked in the call, as in `f(*[a], **{"b": 1})`, are looked through: their items are arguments,
    and `wrapping` holds the spans around those items that go once they are arguments in their own right.
    """

    node: ast.Call
    callee: Span
    items: Items
    arguments: tuple[Argument, ...]
    wrapping: tuple[Span, ...] = ()


LONE_RETURN = re.compile(rb"\r(?!\n)")
_GAP = re.compile(rb"(?:[ \t\f\r\n]|\\\r?\n|\\\r|#[^\r\n]*)*")
"""What may stand between tokens inside brackets: white space, continuations and comments."""
_NAME = re.compile(rb"[^\s=#\\]+")


def comments_in(source: Source, start: int, end: int) -> list[str]:
    """Return the comments between two offsets that lie inside one pair of brackets."""
    if b"#" not in source.body[start:end]:
        return []
    # Inside brackets neither newlines nor indentation mean anything; the newline ends a last comment.
    data = LONE_RETURN.sub(b"\n", f"({source.text(start, end)}\n)".encode())
    rows = (row.decode() for row in io.BytesIO(data))  # splits at line feeds alone
    found: list[str] = []
    # The part may open a bracket that it does not close; its comments have been seen by the time that this shows.
    with suppress(tokenize.TokenError, SyntaxError):
        tokens = tokenize.generate_tokens(lambda: next(rows, ""))
        found.extend(token.string for token in tokens if token.type == tokenize.COMMENT)
    return found


def skip_gap(source: Source, offset: int) -> int:
    """Return the offset of the next token at or behind the offset."""
    match = _GAP.match(source.body, offset)
    assert match is not None
    return match.end()


def split_items(source: Source, opening: int, closing: int, nodes: Sequence[Span]) -> Items:
    """Find the comma-separated pieces between two brackets, given the extent of each piece's syntax node.

    Nodes leave out the brackets around a value, so a piece reaches from the token behind the last comma to the last
    bracket before the next one. Between nodes there are only brackets, commas and gaps. Raises SourceError otherwise.
    """
    pieces: list[Span] = []
    commas: list[Span] = []
    position = skip_gap(source, opening + 1)
    for node in nodes:
        if position > node.start or node.end > closing:
            raise SourceError("the text and its syntax tree disagree")
        first, last = position, node.end
        position = skip_gap(source, node.end)
        while position < closing and source.body[position] == _CLOSE:
            last = position + 1
            position = skip_gap(source, last)
        pieces.append(Span(first, last))
        if position < closing:
            if source.body[position] != _COMMA:
                raise SourceError("the text and its syntax tree disagree")
            commas.append(Span(position, position + 1))
            position = skip_gap(source, position + 1)
    if position != closing:
        raise SourceError("the text and its syntax tree disagree")
    return Items(Span(opening, opening + 1), Span(closing, closing + 1), tuple(pieces), tuple(commas))


def display_items(source: Source, node: ast.Tuple | ast.List | ast.Dict) -> Items:
    """Split a display at its commas. Raises SourceError for a tuple without brackets."""
    start, end = source.start(node), source.end(node)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        nodes = [Span(source.start(key) if key else source.start(value) - 2, source.end(value)) for key, value in pairs]
    else:
        nodes = [Span(source.start(item), source.end(item)) for item in node.elts]
    if source.body[start : start + 1] not in (b"(", b"[", b"{"):
        raise SourceError("a tuple without brackets cannot be split")
    return split_items(source, start, end - 1, nodes)


def read_call(source: Source, node: ast.Call) -> CallText:
    """Find the exact extent of a call's callee and arguments. Raises SourceError where text and tree disagree."""
    known: dict[int, CallText] = source.memo.setdefault(read_call, {})
    found = known.get(id(node))
    if found is None or found.node is not node:
        found = known[id(node)] = _read_call(source, node)
    return found


def _read_call(source: Source, node: ast.Call) -> CallText:
    callee = Span(source.start(node.func), source.end(node.func))
    closing = source.end(node) - 1
    opening = _open_bracket(source, callee.end, closing)
    nodes: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    nodes.sort(key=source.start)
    if len(nodes) == 1 and source.start(nodes[0]) == opening:
        items = _lone_generator(source, opening, closing, nodes[0])
    else:
        spans = [Span(source.start(item), source.end(item)) for item in nodes]
        items = split_items(source, opening, closing, spans)
    arguments = tuple(_argument(source, piece, item) for piece, item in zip(items.pieces, nodes, strict=True))
    return _look_through(source, CallText(node, callee, items, arguments))


def _lone_generator(source: Source, opening: int, closing: int, node: ast.expr | ast.keyword) -> Items:
    """The node of `f(x for x in y)`'s argument includes the brackets of the call."""
    assert isinstance(node, ast.GeneratorExp)
    last = node.generators[-1]
    inner = Span(source.start(node.elt), source.end(last.ifs[-1] if last.ifs else last.iter))
    return split_items(source, opening, closing, [inner])


def _look_through(source: Source, call: CallText) -> CallText:
    """Replace unpacked displays by their items."""
    if all(argument.form in (Form.POSITIONAL, Form.KEYWORD) for argument in call.arguments):
        return call
    pieces: list[Span] = []
    commas: list[Span] = []
    arguments: list[Argument] = []
    wrapping: list[Span] = []
    for index, argument in enumerate(call.arguments):
        inner = _display(source, argument)
        if inner is None:
            pieces.append(argument.span)
            arguments.append(argument._replace(form=Form.EMPTY) if _is_empty(argument) else argument)
        else:
            items, found = inner
            pieces += [item.span for item in found]
            arguments += found
            commas += items.commas[: len(items.pieces) - 1]
            wrapping += [
                Span(argument.span.start, items.pieces[0].start), Span(items.pieces[-1].end, argument.span.end),
            ]  # fmt: skip
        commas += call.items.commas[index : index + 1]
    items = call.items._replace(pieces=tuple(pieces), commas=tuple(commas))
    return CallText(call.node, call.callee, items, tuple(arguments), tuple(wrapping))


def _is_empty(argument: Argument) -> bool:
    """`*[]`, `*()` and `**{}` pass nothing."""
    node = argument.node
    if argument.form is Form.UNPACKED_LIST:
        return isinstance(node, ast.List | ast.Tuple) and not node.elts
    return argument.form is Form.UNPACKED_MAPPING and isinstance(node, ast.Dict) and not node.keys


def _display(source: Source, argument: Argument) -> tuple[Items, list[Argument]] | None:
    """Split an unpacked list, tuple, dict display or dict(...) call; None where it is empty or anything else."""
    node = argument.node
    if argument.form is Form.UNPACKED_LIST and isinstance(node, ast.List | ast.Tuple):
        if not node.elts or any(isinstance(item, ast.Starred) for item in node.elts):
            return None
        items = display_items(source, node)
        elements = zip(items.pieces, node.elts, strict=True)
        return items, [Argument(Form.POSITIONAL, None, item, piece, piece) for piece, item in elements]
    if argument.form is Form.UNPACKED_MAPPING and isinstance(node, ast.Dict) and node.keys and None not in node.keys:
        items = display_items(source, node)
        entries = [
            _entry(source, piece, key, value)
            for piece, key, value in zip(items.pieces, node.keys, node.values, strict=True)
        ]
        return None if None in entries else (items, [entry for entry in entries if entry is not None])
    if argument.form is Form.UNPACKED_MAPPING and _is_dict_call(source, node) and node.keywords:  # type: ignore[attr-defined]
        inner = read_call(source, node)  # type: ignore[arg-type]
        return inner.items, list(inner.arguments)
    return None


def _entry(source: Source, piece: Span, key: ast.expr | None, value: ast.expr) -> Argument | None:
    name = key.value if isinstance(key, ast.Constant) else None
    if key is None or not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return None
    colon = skip_gap(source, source.end(key))
    while source.body[colon] == _CLOSE:
        colon = skip_gap(source, colon + 1)
    if source.body[colon : colon + 1] != b":":
        raise SourceError("the text and its syntax tree disagree")
    start = skip_gap(source, colon + 1)
    return Argument(Form.KEYWORD, name, value, piece, Span(start, piece.end), Span(piece.start, colon + 1), entry=True)


_DICT_BOUND = re.compile(rb"\bdict\s*(?:=(?!=)|,|\)|:|\bin\b)|\b(?:def|class|as|import)\s+dict\b")


def _is_dict_call(source: Source, node: ast.expr) -> bool:
    """Tell whether the expression is a call of the builtin dict with keywords alone."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "dict":
        return False
    plain = not node.args and all(item.arg is not None for item in node.keywords)
    return plain and _DICT_BOUND.search(source.body) is None


def _open_bracket(source: Source, start: int, end: int) -> int:
    """Offset of the call's opening bracket: behind the brackets that may enclose the callee, and behind comments."""
    position = skip_gap(source, start)
    while position < end and source.body[position] == _CLOSE:
        position = skip_gap(source, position + 1)
    if source.body[position : position + 1] != b"(":
        raise SourceError("the call's opening bracket cannot be found")
    return position


def _argument(source: Source, piece: Span, item: ast.expr | ast.keyword) -> Argument:
    """Locate name and value within one argument's text."""
    if isinstance(item, ast.Starred):
        return Argument(Form.UNPACKED_LIST, None, item.value, piece, Span(skip_gap(source, piece.start + 1), piece.end))
    if not isinstance(item, ast.keyword):
        return Argument(Form.POSITIONAL, None, item, piece, piece)
    if item.arg is None:
        start = skip_gap(source, piece.start + 2)
        return Argument(Form.UNPACKED_MAPPING, None, item.value, piece, Span(start, piece.end))
    name = _NAME.match(source.body, piece.start)
    if name is None or source.body[equals := skip_gap(source, name.end())] != _EQUALS:
        raise SourceError("the text and its syntax tree disagree")
    value = Span(skip_gap(source, equals + 1), piece.end)
    return Argument(Form.KEYWORD, item.arg, item.value, piece, value, Span(name.start(), name.end()))

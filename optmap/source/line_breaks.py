"""Lines that edits make longer than a file's own: a call on them is spread over several, as formatters do."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from optmap.source.calls import Span
from optmap.source.edits import Edit, ordered, rest_of_line, start_of_line
from optmap.source.layout import indentation_unit, line_limit
from optmap.source.text import Source
from optmap.values import NamedTuple

_DISPLAYS: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class _Break(NamedTuple):
    """What stands between two offsets of a new line becomes the beginning of another."""

    start: int
    end: int
    text: str


def with_breaks(source: Source, edits: Sequence[Edit]) -> list[Edit]:
    """The edits of a file, with line breaks in calls that would be too wide."""
    found: list[Edit] = []
    for lines, own in _by_lines(source, ordered(edits)):
        found += _broken(source, lines, own)
    return found


def _by_lines(source: Source, edits: Sequence[Edit]) -> Iterator[tuple[Span, list[Edit]]]:
    """The edits by the lines that they touch, with the extent of these."""
    lines, own = Span(0, 0), list[Edit]()
    for edit in edits:
        start, end = start_of_line(source, edit.start), rest_of_line(source, edit.end).end
        if own and start <= lines.end:
            lines = Span(lines.start, max(lines.end, end))
        else:
            if own:
                yield lines, own
            lines, own = Span(start, end), []
        own.append(edit)
    if own:
        yield lines, own


def _broken(source: Source, lines: Span, edits: list[Edit]) -> list[Edit]:
    limit = line_limit(source)
    old, pieces = source.text(*lines), _pieces(source, lines, edits)
    if any(len(line.expandtabs()) > limit for line in old.splitlines()):
        return edits
    new = "".join(text for text, _ in pieces)
    breaks, at, before = list[_Break](), 0, ""
    for line in new.splitlines(keepends=True):
        bare = line.lstrip()
        margin = len(line) - len(bare)
        if len(line.rstrip("\r\n").expandtabs()) > limit:
            unit = indentation_unit(source, source.tree.body[0])
            found = _Line(bare, line[:margin], unit, source.newline, limit).breaks(opened=before.endswith("("))
            breaks += (_Break(at + margin + one, at + margin + other, text) for one, other, text in found)
        at, before = at + len(line), bare.rstrip()
    return _placed(pieces, breaks) if breaks else edits


def _pieces(source: Source, lines: Span, edits: Sequence[Edit]) -> list[tuple[str, Edit]]:
    """The new text of lines: what edits write, and what stays, as edits that change nothing."""
    found, position = list[tuple[str, Edit]](), lines.start
    for edit in (*edits, Edit(lines.end, lines.end, "")):
        text = source.text(position, edit.start)
        found += [(text, Edit(position, edit.start, text)), (edit.text, edit)]
        position = edit.end
    return found


def _placed(pieces: Sequence[tuple[str, Edit]], breaks: Sequence[_Break]) -> list[Edit]:
    """The edits with breaks inside them, and between them."""
    found = list[Edit]()
    starts = list(accumulate((len(text) for text, _ in pieces), initial=0))
    taken = set[_Break]()
    # What is written takes the breaks at its ends, so that nothing comes between.
    for index in sorted(range(len(pieces)), key=lambda index: index % 2 == 0):
        text, edit = pieces[index]
        start, end = starts[index], starts[index + 1]
        inside = [item for item in breaks if start <= item.start and item.end <= end and item not in taken]
        taken.update(inside)
        if index % 2:
            found.append(edit._replace(text=_with(text, start, inside)))
            continue
        for item in inside:
            one, other = (edit.start + len(text[: at - start].encode()) for at in (item.start, item.end))
            found.append(Edit(one, other, item.text))
    if len(taken) < len(breaks):
        return [edit for index, (_, edit) in enumerate(pieces) if index % 2]
    return [edit for edit in ordered(found) if edit.text or edit.start < edit.end]


def _with(text: str, start: int, breaks: Sequence[_Break]) -> str:
    for item in reversed(breaks):
        text = text[: item.start - start] + item.text + text[item.end - start :]
    return text


class _Line(NamedTuple):
    """A line that is too wide: its text without what it is indented by, and how it may be spread."""

    text: str
    indent: str
    unit: str
    newline: str
    limit: int

    def at(self, column: int) -> int:
        """A column of Python's, which counts bytes, in characters."""
        return len(self.text.encode()[:column].decode())

    def wide(self, text: str) -> bool:
        return len(text.expandtabs()) > self.limit

    def breaks(self, *, opened: bool) -> list[_Break]:
        """The breaks of the outermost brackets with which all of it fits, or of those with which most does."""
        lead, statement = _statement(self.text)
        if statement is None:
            return []
        code = self.text[: self._replace(text=lead + self.text).at(statement.end_col_offset or 0) - len(lead)].rstrip()
        best, narrowest = list[_Break](), len((self.indent + code).expandtabs())
        for found in (
            self._replace(text=lead + self.text)._ways(statement, opened, lead) if narrowest > self.limit else ()
        ):
            breaks = [_Break(start - len(lead), end - len(lead), text) for start, end, text in found]
            width = max(len(line.expandtabs()) for line in (self.indent + _with(code, 0, breaks)).splitlines())
            if width < narrowest:
                best, narrowest = breaks, width
            if width <= self.limit:
                break
        return best

    def _ways(self, statement: ast.stmt, opened: bool, lead: str) -> Iterator[list[_Break]]:
        value = statement.value if isinstance(statement, ast.Expr) else None
        if opened and isinstance(value, ast.Tuple):
            yield self._between(value.elts, self.indent) or []  # the arguments of a call that begins above
        elif opened and lead and value is not None:
            yield self._between(_arguments(value), self.indent) or []
        end = len(self.text.rstrip().encode())
        for node in _bracketed(statement):
            if (node.end_col_offset or 0) <= end and node is not (value if lead else None):
                yield self._spread(node, self.indent)

    def _spread(self, node: ast.expr, indent: str) -> list[_Break]:
        """Put what stands between brackets on a line of its own; where it is too wide, each argument of a call."""
        inside = indent + self.unit
        arguments = _arguments(node)
        opening = (
            self.text.index("(", self.at(node.func.end_col_offset or 0))
            if isinstance(node, ast.Call)
            else self.at(node.col_offset)
        )
        close = self.at(node.end_col_offset or 0) - 1
        content = self.text[opening + 1 : close]
        if not content or content != content.strip():
            return []
        first, last = (
            _Break(opening + 1, opening + 1, self.newline + inside),
            _Break(close, close, self.newline + indent),
        )
        between = self._between(arguments, inside) if self.wide(inside + content) else None
        if between is None:
            return [first, *(self._clauses(node, inside) if self.wide(inside + content) else ()), last]
        deeper = [item for argument in arguments for item in self._deeper(argument, inside)]
        return sorted([first, *between, *deeper, last._replace(text="," * (content[-1] != ",") + last.text)])

    def _deeper(self, argument: ast.expr | ast.keyword, indent: str) -> list[_Break]:
        text = self.text[self.at(argument.col_offset) : self.at(argument.end_col_offset or 0)]
        value = argument.value if isinstance(argument, ast.keyword) else argument
        wide = self.wide(f"{indent}{text},") and isinstance(value, ast.Call) and (value.args or value.keywords)
        return self._spread(value, indent) if wide else []

    def _clauses(self, node: ast.expr, indent: str) -> list[_Break]:
        """Each clause of a comprehension on a line of its own; none where brackets stand around a part of one."""
        found = list[_Break]()
        for word, before, after in _clause_starts(node):
            end, start = self.at(before.end_col_offset or 0), self.at(after.col_offset)
            if self.text[end:start].strip() != word:
                return []
            found.append(_Break(end, end + self.text[end:start].index(word), self.newline + indent))
        return found

    def _between(self, items: Sequence[ast.expr | ast.keyword], indent: str) -> list[_Break] | None:
        """Each of several items on a line of its own; None where brackets of their own stand around some."""
        found = []
        for one, other in pairwise(items):
            end, start = self.at(one.end_col_offset or 0), self.at(other.col_offset)
            if self.text[end:start].strip() != ",":
                return None
            found.append(_Break(end, start, f",{self.newline}{indent}"))
        return found or None


def _clause_starts(node: ast.expr) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Each clause of a comprehension: its word, what stands before the word, and what stands after it."""
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        before = node.value if isinstance(node, ast.DictComp) else node.elt
        for clause in node.generators:
            yield "for", before, clause.target
            before = clause.iter
            for condition in clause.ifs:
                yield "if", before, condition
                before = condition


def _bracketed(statement: ast.stmt) -> Iterator[ast.expr]:
    """What brackets stand around that may be spread, the outer ones first; neither in strings nor in functions."""
    closed = [item for item in ast.walk(statement) if isinstance(item, ast.JoinedStr | ast.Lambda)]
    inside = {id(node) for item in closed for node in ast.walk(item)}
    for node in ast.walk(statement):
        displayed = isinstance(node, _DISPLAYS)
        if id(node) not in inside and (displayed or (isinstance(node, ast.Call) and (node.args or node.keywords))):
            yield node  # type: ignore[misc]


def _arguments(node: ast.expr) -> list[ast.expr | ast.keyword]:
    """The arguments of a call, in order."""
    found: list[ast.expr | ast.keyword] = [*node.args, *node.keywords] if isinstance(node, ast.Call) else []
    return sorted(found, key=lambda item: item.col_offset)


def _statement(text: str) -> tuple[str, ast.stmt | None]:
    """The one statement that is all of a line, or what opens a block or brackets there; with a lead, arguments of a call."""
    text = text.rstrip()
    for lead, ending in (("", ""), ("", " pass"), ("", ")"), ("_(", ")")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ast.parse(f"{lead}{text}{ending}").body
        except (SyntaxError, ValueError):
            continue
        if len(found) == 1:
            return lead, found[0]
    return "", None

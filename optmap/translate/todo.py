"""What is left to do, written into the result: `# TODO(optmap OM401): ...` above the statement that it is about.

Removing a comment is how a person says that it is done; what has one is not marked again.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from optmap.diagnostics import COMMENTS, Diagnostic, Group, Severity
from optmap.source.edits import Edit, apply_edits, start_of_line
from optmap.source.text import Source
from optmap.translate.results import MARK, FileResult

_WIDTH: Final = 100
_SHOWN: Final = 12
"""Lines of code that a comment still shows."""
_INDENT: Final = re.compile(rb"[ \t]*")
_COMMENT: Final = re.compile(rb"[ \t]*#[^\r\n]*")


def marked(source: Source, result: FileResult, *, prove: bool) -> FileResult:
    """The result with a comment for everything that is left to do and has none."""
    wanted = list(_comments(source, result))
    if not wanted:
        return result
    if not prove:
        return result._replace(changed=True)
    edits = [*result.edits, *wanted]
    if not _same_tree(source, result.edits, edits):
        edits = list(result.edits)
        for one in wanted:  # a place where no comment may stand
            edits += [one] if _same_tree(source, result.edits, [*edits, one]) else []
    output = source.encode(apply_edits(source.body, edits))
    return result._replace(output=output, changed=bool(edits), edits=tuple(sorted(edits, key=lambda edit: edit[:2])))


def _same_tree(source: Source, before: Sequence[Edit], after: Sequence[Edit]) -> bool:
    """Tell whether edits leave the program what others make of it."""
    try:
        trees = [ast.dump(ast.parse(apply_edits(source.body, edits))) for edits in (before, after)]
    except (SyntaxError, ValueError):
        return False
    return trees[0] == trees[1]


def _comments(source: Source, result: FileResult) -> Iterator[Edit]:
    """The comments to add, each once for its statement."""
    left = [
        item for item in result.diagnostics
        if item.code.group is Group.TODO and item.severity is not Severity.INFO and item.code not in COMMENTS
    ]  # fmt: skip
    statements = sorted(_starts(source.tree), key=lambda span: span[0]) if left else []
    said: set[tuple[int, str]] = set()
    for item in left:
        at = _above(source, statements, item.line, result.edits)
        line = bisect_right(source.line_starts, at)
        if (at, item.code.id) not in said and not _is_marked(source, line, item.code.id):
            said.add((at, item.code.id))
            indent = _INDENT.match(source.body, at)
            yield Edit(at, at, _text(item, indent[0].decode() if indent else "", source.newline))


def _starts(tree: ast.Module) -> Iterable[tuple[int, int]]:
    """The first and the last line of each statement, decorators with it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            lines = [item.lineno for item in getattr(node, "decorator_list", ())]
            yield min([node.lineno, *lines]), node.end_lineno or node.lineno


def _above(source: Source, statements: Sequence[tuple[int, int]], line: int, edits: Iterable[Edit]) -> int:
    """Where the line of the innermost statement around a line begins, or of an edit that takes it away."""
    around = [first for first, last in statements if first <= line <= last]
    at = source.line_starts[max(around, default=min((first for first, _ in statements), default=1)) - 1]
    for edit in edits:
        if edit.start < at < edit.end:
            return start_of_line(source, edit.start)
    return at


def _is_marked(source: Source, line: int, code: str) -> bool:
    """Tell whether the comments directly above a line hold the mark of a code."""
    mark = MARK + code.encode() + b")"
    while line > 1:
        line -= 1
        found = _COMMENT.match(source.body, source.line_starts[line - 1])
        if found is None:
            return False
        if mark in found[0]:
            return True
    return False


def _text(item: Diagnostic, indent: str, newline: str) -> str:
    """The lines of a comment, as wide as the file's lines may be, with the code to write where that is short."""
    import textwrap

    said = " ".join(item.message.split())
    lines = textwrap.wrap(
        f"# TODO(optmap {item.code.id}): {said}", max(_WIDTH - len(indent), 60), subsequent_indent="#     ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    shown = (item.replacement or "").splitlines()
    lines += [f"#     {line}".rstrip() for line in shown] if len(shown) <= _SHOWN else []
    return "".join(f"{indent}{line}{newline}" for line in lines)

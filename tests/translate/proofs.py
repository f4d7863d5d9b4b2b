"""What every rewrite must satisfy, whatever it is."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections import Counter

from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult


def prove(before: bytes, result: FileResult, tables: MappingSet, options: Options) -> None:
    """The output parses, a second pass changes nothing, comments and untouched lines stay."""
    ast.parse(result.output)
    again = translate_bytes(result.output, tables, options)
    assert again.output == result.output, "a second pass changes the result"
    assert not again.changed
    if not result.changed:
        assert result.output == before
        return
    lost = comments(before) - comments(result.output)
    assert not lost, f"comments are gone: {dict(lost)}"
    edited = _edited_lines(before, result)
    old, new = before.splitlines(keepends=True), result.output.splitlines(keepends=True)
    for tag, first, last, start, until in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag in ("replace", "delete"):
            outside = sorted(set(range(first + 1, last + 1)) - edited)
            if tag == "replace" and last - first == until - start:
                outside = [line for line in outside if _plain(old[line - 1]) != _plain(new[line - 1 - first + start])]
            assert not outside, f"lines {outside} changed, which hold neither a translated call nor an import"


_NAMED = re.compile(rb"\(\(parameter\.name, parameter\) for parameter in ([\w.]+)\.trainable_params\(\)\)")
_TRAINABLE = re.compile(rb"filter\(lambda (\w+): \1\.requires_grad, ([\w.]+\(\))\)")


def _plain(line: bytes) -> bytes:
    """A line with the parameters of models spelled as in torch, and without the brackets of lists: groups may change so."""
    line = _TRAINABLE.sub(rb"\2", _NAMED.sub(rb"\1.named_parameters()", line))
    line = line.replace(b"parameters_and_names(", b"named_parameters(").replace(b"trainable_params(", b"parameters(")
    return re.sub(rb"[\[\]*]", b"", line)


def comments(data: bytes) -> Counter[str]:
    return Counter(
        token.string for token in tokenize.tokenize(io.BytesIO(data).readline) if token.type == tokenize.COMMENT
    )


def _edited_lines(before: bytes, result: FileResult) -> set[int]:
    starts = {call.line for call in result.calls if call.status == "translated"}
    lines = _steps_gone(before, result)
    for node in ast.walk(ast.parse(before)):
        called = isinstance(node, ast.Call) and node.lineno in starts
        if called or isinstance(node, ast.Import | ast.ImportFrom):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))  # type: ignore[attr-defined]
    return lines | _step_lines(before, result)


_KNOWN = re.compile(r"\.(?:train|eval|to|cuda|cpu|numpy|detach|size|parameters)\(|\bforward\(|\{\w*:|round\(")


def _step_lines(before: bytes, result: FileResult) -> set[int]:
    """Lines that a rewritten step may change: the outermost statement around it, sessions, and uses of what is imported."""
    steps = [item.line for item in result.diagnostics if item.code.id == "OM403"]
    if not steps:
        return set()
    tree = ast.parse(before)
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    lines: set[int] = set()
    for statement in ast.walk(tree):
        simple = isinstance(statement, ast.stmt) and not hasattr(statement, "body")
        for node in ast.walk(statement) if simple else ():
            if isinstance(node, ast.Name) and node.id in imported:
                lines |= set(range(statement.lineno, (statement.end_lineno or 0) + 1))  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in imported:
            lines.add(node.lineno)
    for number, text in enumerate(before.decode().splitlines(), 1):
        if _KNOWN.search(text):
            lines.add(number)
    for index, node in enumerate(tree.body):
        if any(node.lineno <= line <= (node.end_lineno or 0) for line in steps):
            around = [item for item in tree.body if isinstance(item, ast.With)]
            lines |= {line for item in around for line in range(item.lineno, (item.end_lineno or 0) + 1)}
            inside = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.If)
            # A step at the top of a module may begin a few statements before its last line.
            first = node if inside else tree.body[max(0, index - 6)]
            lines |= set(range(first.lineno, (node.end_lineno or 0) + 1))
    return lines


def _steps_gone(before: bytes, result: FileResult) -> set[int]:
    """The calls of step() that go with a schedule that is passed now."""
    if all(item.code.id != "OM316" for item in result.diagnostics):
        return set()
    numbered = enumerate(before.splitlines(), 1)
    return {number for number, text in numbered if re.fullmatch(rb"\s*[\w.]+\.step\(\)\s*(#.*)?", text)}

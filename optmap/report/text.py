"""The text report of `translate`: plain when piped, coloured by Rich on a terminal."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import IO, Final

from optmap.diagnostics import Diagnostic, Severity
from optmap.report.json import summary
from optmap.translate.results import CellChange, FileResult

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_NOUNS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # a line as patch and git define it


def show_diagnostics(path: str, result: FileResult, *, infos: bool = True) -> None:
    """Print a file's diagnostics to stderr, one per line, as `path:line:column: severity CODE message`, with their code below.

    In a notebook the position is `path:cell N:line:column`.
    """
    for item in result.diagnostics:
        if item.severity is Severity.INFO and not infos:
            continue
        cell = "" if item.cell is None else f"cell {item.cell}:"
        where = f"{path}:{cell}{item.line}:{item.column}"
        origin = f" [{item.table}]" if item.table else ""
        code = textwrap.indent(item.replacement, "    ") + "\n" if item.replacement else ""
        plain = f"{where}: {item.severity} {item.code.id} {item.message}{origin}\n{code}"
        _print(sys.stderr, plain, lambda where=where, item=item, origin=origin: _rich_line(where, item, origin))


def _rich_line(where: str, item: Diagnostic, origin: str) -> list[tuple[str, str]]:
    return [
        (f"{where}: ", "bold"), (f"{item.severity} {item.code.id}", _STYLES[item.severity]), (f" {item.message}", ""),
        (origin, "dim"), (textwrap.indent(f"\n{item.replacement}", "    ") if item.replacement else "", ""),
    ]  # fmt: skip


class Progress:
    """A progress line on stderr; shown only on a terminal, and only for work that takes more than a second."""

    def __init__(self) -> None:
        self.started = self.shown = time.monotonic()
        self.visible = False

    def step(self, done: int, total: int | None = None, what: str = "files read") -> None:
        """Update the line, at most five times a second."""
        now = time.monotonic()
        if sys.stderr.isatty() and now - self.started > 1.0 and now - self.shown > 0.2:
            self.shown, self.visible = now, True
            sys.stderr.write(f"\r\x1b[K{done}{'' if total is None else f' of {total}'} {what}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line; call this before anything else is printed, and at the end."""
        if self.visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.visible = False


def show_summary(results: Sequence[FileResult], mode: str) -> None:
    """Print one summary line to stderr."""
    counts = summary([("", result) for result in results])
    verb = {"--write": "rewrote", "--output": "wrote changes to"}.get(mode, "would change")
    calls = f"{counts['translated']} translated, {counts['refused']} refused, {counts['unchanged']} unchanged"
    failed = f", {_count(counts['failed'], 'file')} failed" if counts["failed"] else ""
    messages = ", ".join(_count(counts[f"{what}s"], noun) for what, noun in _NOUNS.items())
    _print(
        sys.stderr, f"optmap: {verb} {_count(counts['changed'], 'file')}; calls: {calls}{failed}; {messages}\n", None
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def unified_diff(path: str, before: bytes, after: bytes) -> None:
    """Print a unified diff to stdout that `patch` and `git apply` accept, byte for byte."""
    import difflib

    old, new = (_LINE.findall(text.decode("utf-8", "surrogateescape")) for text in (before, after))
    name = path.lstrip("/") if path.startswith("/") else path
    for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
        ending = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
        raw = (line + ending).encode("utf-8", "surrogateescape")
        if sys.stdout.isatty():
            _coloured(line + ending)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(raw)


def notebook_diff(path: str, cells: Sequence[CellChange]) -> None:
    """Print a unified diff of the source of each changed cell, for reading only: `patch` cannot apply it."""
    for cell in cells:
        old, new = (text if text.endswith("\n") else text + "\n" for text in (cell.before, cell.after))
        unified_diff(f"{path}:cell {cell.number}", _utf8(old), _utf8(new))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _coloured(line: str) -> None:
    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    _print(sys.stdout, line, lambda: [(line.rstrip("\r\n"), "bold" if line[:3] in ("+++", "---") else style)])


def _print(stream: IO[str], plain: str, styled: object) -> None:
    """Write plain text, or the styled segments where the stream is a terminal."""
    if not stream.isatty() or not callable(styled):
        stream.write(plain)
        return
    from rich.console import Console
    from rich.text import Text

    segments: list[tuple[str, str]] = styled()
    Console(file=stream, highlight=False).print(Text.assemble(*segments), soft_wrap=True)

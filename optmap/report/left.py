"""What is left of one file, in one view: to do by hand, behaves differently, notes, and whether the result can run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from textwrap import indent
from typing import Final

from optmap.diagnostics import COMMENTS, WORDS, Diagnostic, Group, Severity
from optmap.report.terminal import Segment, hanging, width, write
from optmap.shown import count, listed, shown, shown_lines
from optmap.translate.results import FileResult, Said, Status, once

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_INDENT: Final = "    "


def show_file(path: str, result: FileResult, *, verbose: bool = False, quiet: bool = False) -> None:
    """Print what is to be said of a file to stderr: all of it, or with `quiet` only errors."""
    path, said = shown(path), once(result.diagnostics, details=verbose)
    groups = [Group.TODO] if quiet else [Group.TODO, Group.DIFFERS, *([Group.NOTE] if verbose else [])]
    for group in groups:
        items = [item for item in said if item.first.code.group is group]
        items = [item for item in items if not quiet or item.first.severity is Severity.ERROR]
        if items and result.error is None and not quiet:
            write(sys.stderr, (f"{str(group).capitalize()}:\n", "bold"))
        for item in items:
            write(sys.stderr, *_segments(path, item, verbose))
    if not quiet:
        write(sys.stderr, *hanging(sys.stderr, [(f"{path}: ", "bold")], _verdict(result, said, verbose)))


def _segments(path: str, item: Said, verbose: bool) -> list[Segment]:
    first = item.first
    message = shown(first.message + _also(item))
    head = [
        (f"{path}:{first.place}: ", "bold"),
        (f"{WORDS[first.severity]} {first.code.id}", _STYLES[first.severity]),
        (" ", ""),
    ]
    lines = hanging(sys.stderr, head, message)
    if first.code.group is Group.TODO and first.source:
        lines += [(_excerpt(first), "dim")]
    if first.replacement:
        lines += [("\n" + indent(shown_lines(first.replacement), _INDENT) + "\n\n", "green")]
    more = [first.detail, f"from {first.table}" if first.table else None] if verbose else []
    for text in filter(None, more):
        lines += [(part, "dim") for part, _ in hanging(sys.stderr, [(_INDENT, "")], shown(text))]
    return lines


def _also(item: Said) -> str:
    """The further places of what is said once."""
    if not item.others:
        return ""
    first, *_ = cells = [item.first.cell, *(other.cell for other in item.others)]
    if all(cell == first for cell in cells):
        return f" (also on {_lines(item.others)})"
    places = [
        f"{_lines(list(group))} of cell {cell}" if cell is not None else _lines(list(group))
        for cell, group in groupby(item.others, key=lambda other: other.cell)
    ]
    return f" (also on {listed(places)})"


def _lines(items: Sequence[Diagnostic]) -> str:
    numbers = list(dict.fromkeys(str(item.line) for item in items))
    return f"line{'s' * (len(numbers) > 1)} {listed(numbers)}"


def _excerpt(item: Diagnostic) -> str:
    """The line of the source that is meant, with a mark below the place."""
    source = shown((item.source or "").expandtabs(1))
    number, start = str(item.line), item.column - 1
    end = item.end_column - 1 if item.end_line == item.line and item.end_column else len(source)
    mark = "^" + "~" * (max(min(end, len(source)) - start, 1) - 1)
    columns = width(sys.stderr)
    room = (columns or 120) - len(number) - 8
    if start < room:
        source, mark = source[:room], mark[: room - start]
    else:
        room -= 3
        first = min(start, start + len(mark) - room)
        source, start = f"...{source[first : first + room]}", start - first + 3
        mark = mark[:room]
    return f"{_INDENT}{number} | {source}\n{_INDENT}{' ' * len(number)} | {' ' * start}{mark}\n"


def _verdict(result: FileResult, said: Sequence[Said], verbose: bool) -> str:
    """One line: what became of the calls, what is left, and whether the result can run."""
    if result.error is not None:
        return "left as it is"
    statuses = [call.status for call in result.calls]
    told = [
        f"{count(number, 'call')} {word}" if not place else f"{number} {word}"
        for place, (number, word) in enumerate(
            (statuses.count(status), _DONE[status]) for status in Status if status in statuses
        )
    ]
    todo = [item for item in said if item.first.code.group is Group.TODO]
    notes = sum(item.first.code.group is Group.NOTE for item in said)
    if not told and not said:
        return "nothing to translate"
    parts = [", ".join(told) or "no call of an optimizer", _runs(result, todo)]
    hidden = f" ({count(notes, 'note')} with --verbose)" if notes and not verbose else ""
    return "; ".join(parts) + hidden


_DONE: Final = {Status.TRANSLATED: "translated", Status.REFUSED: "refused", Status.UNCHANGED: "left alone as asked"}


def _runs(result: FileResult, todo: Sequence[Said]) -> str:
    """Whether the result can run, and what that takes."""
    todo = [item for item in todo if item.first.code not in COMMENTS]
    sure = [item for item in todo if item.first.severity is not Severity.INFO]
    if not result.changed:
        return f"{count(len(sure), 'thing')} left to do by hand" if sure else "nothing changed"
    if sure:
        return f"{count(len(todo), 'thing')} left to do by hand before it can run"
    if todo:
        return "it can run if what is listed is as it should be"
    return "nothing is left to do by hand: it can run"

"""Where a new import goes: where a sorter of imports would put it, by the order that the file itself keeps."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from optmap.source.changes import Change, Insert, Where
from optmap.source.edits import has_own_lines
from optmap.source.templates import Template
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport
from optmap.values import NamedTuple

Import: TypeAlias = ast.Import | ast.ImportFrom
_BLANK: Final = re.compile(rb"(?:\r\n|\r(?!\n)|\n)[ \t\f]*(?:\r|\n)")
_FUTURE, _STANDARD, _OTHER, _RELATIVE = range(4)


class _Sorted(NamedTuple):
    """What sorters look at: the section, whether it is a `from` import, and the module."""

    section: int
    kind: bool
    module: str


_ORDERS: Final[tuple[Callable[[_Sorted], tuple[int | str, ...]], ...]] = (
    lambda item: item,
    lambda item: (item.kind, item.module),
    lambda item: (item.section, item.module),
    lambda item: (item.module,),
)
"""Orders that files keep in imports which no blank line parts."""


class Places:
    """The imports of a module that run before a use of what is imported; `gone` are those that are removed."""

    def __init__(self, source: Source, first_use: int, near: ast.stmt | None, gone: Collection[int]) -> None:
        self.source = source
        self.near = near
        self.gone = gone
        self.runs = list(_runs(source, first_use))

    def changes(self, needed: Iterable[NewImport]) -> list[Change]:
        """Insert imports, each in the section where it belongs."""
        sections: dict[int, list[tuple[_Sorted, str]]] = {}
        for item, text in sorted((_sorted(ast.parse(line).body[0]), line) for line in lines_of(needed)):  # type: ignore[arg-type]
            sections.setdefault(item.section, []).append((item, text))
        return [change for section, own in sections.items() for change in self._section(section, own)]

    def _section(self, section: int, items: Sequence[tuple[_Sorted, str]]) -> list[Change]:
        run = self._run(section)
        if run is not None:
            return [self._inserted(run, item, text) for item, text in items]
        text = "\n".join(text for _, text in items)
        before = [run for run in self.runs if all(_sorted(item).section < section for item in run)]
        if before:
            return [Insert(before[-1][-1], Where.AFTER, Template(f"\n{text}"))]
        if self.runs:
            return [Insert(self.runs[0][0], Where.BEFORE, Template(f"{text}\n"))]
        return [self._on_top(text)]

    def _run(self, section: int) -> Sequence[Import] | None:
        """The imports that a new one belongs to: those of what it replaces, or the first ones of its section."""
        home = next((run for run in self.runs if section == _OTHER and any(item is self.near for item in run)), None)
        own = (run for run in self.runs if any(_sorted(item).section == section for item in run))
        return home or next(own, None)

    def _inserted(self, run: Sequence[Import], item: _Sorted, text: str) -> Change:
        at = next((at for order in _ORDERS if (at := _place(run, item, order)) is not None), None)
        if at is None:
            at = next((index for index, node in enumerate(run) if node is self.near), 0)
        last = at == len(run)
        if last and id(run[-1]) not in self.gone and self.source.parts is None:
            return Insert(run[-1], Where.AFTER, Template(text))
        at -= last
        return Insert(run[at], Where.ABOVE if at and not last else Where.BEFORE, Template(text))

    def _on_top(self, text: str) -> Change:
        """Behind the docstring and the `__future__` imports of a module without other imports."""
        following, previous = _anchor(self.source)
        if isinstance(previous, ast.ImportFrom):
            return Insert(previous, Where.AFTER, Template(f"\n{text}"))
        if following is None:
            assert previous is not None
            return Insert(previous, Where.AFTER, Template(text))
        apart = "\n\n" if isinstance(following, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else "\n"
        return Insert(following, Where.BEFORE, Template(text + apart))


def lines_of(needed: Iterable[NewImport]) -> list[str]:
    """The statements of new imports; those from one package share theirs."""
    packages: dict[str, list[str]] = {}
    for new in dict.fromkeys(needed):
        lead, _, name = new.text.rpartition(" ")
        packages.setdefault(lead if lead.startswith("from ") else new.text, []).append(name)
    return [
        f"{lead} {', '.join(sorted(names))}" if lead.startswith("from ") else lead for lead, names in packages.items()
    ]


def _runs(source: Source, first_use: int) -> Iterator[list[Import]]:
    """The module's own imports that surely run before a use, in runs that neither blank lines nor other statements part."""
    run: list[Import] = []
    for node in source.tree.body:
        own = isinstance(node, ast.Import | ast.ImportFrom) and has_own_lines(source, node)
        own = own and source.line_starts[min((node.end_lineno or 0), len(source.line_starts) - 1)] <= first_use
        if run and (not own or _parted(source, run[-1], node)):
            yield run
            run = []
        if own:
            run.append(node)  # type: ignore[arg-type]
    if run:
        yield run


def _parted(source: Source, one: ast.stmt, other: ast.stmt) -> bool:
    """Tell whether a blank line, or the end of a cell, stands between two statements."""
    blank = _BLANK.search(source.body, source.end(one), source.start(other)) is not None
    if source.parts is None or blank:
        return blank
    cells = [bisect_right(source.parts.lines, (node.lineno, sys.maxsize)) for node in (one, other)]
    return cells[0] != cells[1]


def _sorted(node: Import) -> _Sorted:
    direct = isinstance(node, ast.Import)
    name = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
    if not isinstance(node, ast.Import) and node.level:
        return _Sorted(_RELATIVE, True, name.lower())
    root = name.partition(".")[0]
    section = _FUTURE if root == "__future__" else _STANDARD if root in sys.stdlib_module_names else _OTHER
    return _Sorted(section, not direct, name.lower())


def _place(run: Sequence[Import], new: _Sorted, order: Callable[[_Sorted], tuple[int | str, ...]]) -> int | None:
    """The place of a new import among others; None where they are not in this order."""
    keys = [order(_sorted(item)) for item in run]
    return bisect_left(keys, order(new)) if keys == sorted(keys) else None


def _anchor(source: Source) -> tuple[ast.stmt | None, ast.stmt | None]:
    """Return the statement before which an import goes and the one before it."""
    previous: ast.stmt | None = None
    for index, statement in enumerate(source.tree.body):
        docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) \
            and isinstance(statement.value.value, str)  # fmt: skip
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not docstring and not future:
            return statement, previous
        previous = statement
    return None, previous

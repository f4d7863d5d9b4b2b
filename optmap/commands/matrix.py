"""`optmap list`: every class and its counterparts, with how far they were measured apart at the defaults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from optmap.commands.common import choice, framework, reports_usage_errors, tables
from optmap.mapping.derive import candidates, plans
from optmap.mapping.measured import Measured, measurements
from optmap.mapping.model import Api, Framework, MappingSet
from optmap.mapping.plan import Plan, choose

_WIDE = 150
"""Columns that a terminal needs for one row a pair."""


class Entry(NamedTuple):
    """One cell of the matrix: a class and what the translator picks for a call that gives nothing but what it has to.

    Attributes:
        source: full name of the class.
        target: full name of its counterpart, though it may refuse the defaults; None where there is none.
        level: the worst measured level, NOT_RUN where the tables say that no run can be made, None where none was. Where
            the defaults are refused it was measured at the sample arguments of the tables.
        usually: the level in most scenarios and those that are worse, where some are.
        agreement: what the tables lead to expect, why the defaults are refused, or why there is no counterpart.
        faithful: the class that --faithful picks instead.
    """

    source: str
    target: str | None
    level: str | None
    usually: str | None
    agreement: str
    faithful: str | None


@reports_usage_errors
def run(source: str | None, to: str | None, format: str, mappings: tuple[Path, ...]) -> int:
    """Print the support matrix."""
    choice(format, "--format", ("text", "json"))
    loaded = tables(mappings)
    sources = [framework(source, "--from")] if source else list(Framework)
    targets = [framework(to, "--to")] if to else list(Framework)
    entries = matrix(loaded, sources, targets)
    if format == "json":
        print(json.dumps({"version": 1, "pairs": [item._asdict() for item in entries]}, indent=2))
    elif sys.stdout.isatty():
        _show_rich(entries)
    else:
        _show_plain(entries)
    return 0


def matrix(loaded: MappingSet, sources: list[Framework], targets: list[Framework]) -> list[Entry]:
    """Derive the cells for the given frameworks: direction by direction, in the order of the tables."""
    return [
        _entry(loaded, api, target)
        for source in sources
        for target in targets
        for api in loaded.apis.values()
        if api.framework is source and target is not source
    ]


def _entry(loaded: MappingSet, api: Api, target: Framework) -> Entry:
    found = plans(loaded, api, (), candidates(loaded, api, target))
    if not found:
        return Entry(api.name, None, None, None, _absent(loaded, api, target), None)
    chosen, better = choose(found, faithful=False), choose(found, faithful=True)
    if chosen is None or better is None:
        near = found[0]
        return Entry(api.name, near.target.name, level(near), _usually(near), _refused(near), None)
    faithful = better.target.name if better.target is not chosen.target else None
    return Entry(api.name, chosen.target.name, level(chosen), _usually(chosen), agreement(chosen), faithful)


def _refused(item: Plan) -> str:
    """Why a counterpart cannot express the defaults, and what to do."""
    reasons = (f"{problem.message}{f'; {problem.remedy}' if problem.remedy else ''}" for problem in item.problems)
    return f"refused at the defaults: {'; '.join(reasons)}"


def _absent(loaded: MappingSet, api: Api, target: Framework) -> str:
    """Say that a class has no counterpart, and what to do instead."""
    instead = api.instead or loaded.algorithms[api.algorithm].instead
    return f"no counterpart in {target}{f': {instead}' if instead else ''}"


def measured(item: Plan) -> Measured | None:
    """What was measured of the two classes at the defaults of the versions that the tables were verified with."""
    found = measurements()
    if found is None or item.source.version or item.target.version:
        return None
    return found.pairs.get((item.source.name, item.target.name))


def level(item: Plan) -> str | None:
    """The measured level of a pair, NOT_RUN where no run can be made."""
    if item.source.not_run or item.target.not_run:
        return "NOT_RUN"
    found = measured(item)
    return found.single if found is not None else None


def _usually(item: Plan) -> str | None:
    found = measured(item)
    if found is None or len(found.scenarios) < 2:
        return None
    best, names = next(iter(found.scenarios.items()))
    rest = [name for level, others in found.scenarios.items() if level != best for name in others]
    return f"{best} but in {', '.join(rest)}" if len(names) > len(rest) else None


def agreement(item: Plan) -> str:
    """Say in a word how two update rules compare at the defaults, with the traits in which they differ."""
    traits = ", ".join(cause.trait for cause in item.causes)
    if not item.causes:
        return "same"
    return f"{'divergent' if item.divergent else 'close'} ({traits})"


def _show_plain(entries: list[Entry]) -> None:
    """One line a pair, for files and pipes."""
    widths = [
        max((len(getattr(item, key) or "-") for item in entries), default=0) for key in ("source", "target", "level")
    ]
    for item in entries:
        better = "".join(f"  {text}" for text in _beside(item))
        cells = (item.source, item.target or "-", item.level or "-")
        print(
            *(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)),
            f"{item.agreement}{better}",
            sep="  ",
        )


def _beside(item: Entry) -> list[str]:
    """What stands behind the agreement."""
    return [text for text in (item.usually, item.faithful and f"faithful: {item.faithful}") if text]


def _show_rich(entries: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if console.width < _WIDE:
        return _show_narrow(entries, console.width)
    table = Table()
    for heading in ("source", "target", "measured", "expected at the defaults", "--faithful"):
        table.add_column(heading, overflow="fold")
    for item in entries:
        table.add_row(
            item.source, item.target or "-", item.usually or item.level or "-", item.agreement, item.faithful or ""
        )
    console.print(table)
    return None


def _show_narrow(entries: list[Entry], width: int) -> None:
    """A class a line, its counterparts below it, wrapped between words."""
    import textwrap

    source = ""
    for item in sorted(entries, key=lambda entry: [other.source for other in entries].index(entry.source)):
        if item.source != source:
            source = item.source
            print(source)
        text = (
            f"-> {item.target}: {item.level or 'not measured'}; {item.agreement}"
            if item.target
            else f"-  {item.agreement}"
        )
        text = "; ".join([text, *_beside(item)])
        print(
            textwrap.fill(text, max(width, 20), initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False)
        )

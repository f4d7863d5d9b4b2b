"""`optmap list`: every class and its counterparts, with the measured levels of agreement at the defaults."""

from __future__ import annotations

import json
import sys
from typing import Final

from optmap.cli.matrix import Request
from optmap.commands.common import choice, named_tables, reports_usage_errors
from optmap.mapping.derive import candidates, plans
from optmap.mapping.framework import Framework
from optmap.mapping.measured import Measured, measurements
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, Prefer, choose
from optmap.mapping.sections import Api
from optmap.values import NamedTuple

_WIDE = 150
"""The terminal width, in columns, from which each pair gets one row of a table."""


_PREFERENCES: Final = ("faithful", "documented")
_LEGEND: Final = """
same      the update rules agree at the defaults
close     they differ, little for usual gradients
differs   they differ, and training does so visibly
refused   the target cannot express the defaults
none      there is no counterpart
"""
_MORE: Final = "--verbose adds what differs, the measured levels and the other classes.\n"


class MatrixEntry(NamedTuple):
    """One cell of the matrix: a class, and the class that the translator chooses for a call with required arguments only.

    Attributes:
        source: full name of the class.
        target: full name of its counterpart, which may refuse the defaults; None where there is none.
        level: the worst measured level; NOT_RUN where the tables say that the pair cannot run; None if nothing was
            measured. Where the defaults are refused, it was measured with the tables' sample arguments.
        usually: the level in most scenarios with the names of the others, where their levels differ; else None.
        agreement: what the tables predict, why the defaults are refused, or why there is no counterpart.
        faithful: the class that --prefer faithful chooses instead; None where it is the same.
        documented: the same for --prefer documented.
        word: how the pair stands, as the legend has it.
    """

    source: str
    target: str | None
    level: str | None
    usually: str | None
    agreement: str
    faithful: str | None
    documented: str | None = None
    word: str = "none"


@reports_usage_errors
def run(request: Request) -> int:
    """Print the support matrix."""
    choice(request.format, "--format", ("text", "json"))
    one, other, loaded = named_tables(request.source, request.to, request.mappings)
    every = list(loaded.frameworks.values())
    entries = matrix(loaded, [one] if one else every, [other] if other else every)
    if request.format == "json":
        print(json.dumps({"version": 1, "pairs": [item._asdict() for item in entries]}, indent=2))
        return 0
    if not request.verbose:
        _show_words(entries)
    elif sys.stdout.isatty():
        _show_rich(entries)
    else:
        _show_plain(entries)
    sys.stdout.flush()
    print(_LEGEND + ("" if request.verbose else _MORE), end="", file=sys.stderr)
    return 0


def matrix(loaded: MappingSet, sources: list[Framework], targets: list[Framework]) -> list[MatrixEntry]:
    """Derive the entries for the given frameworks: one direction after another, classes in the order of the tables."""
    return [
        _entry(loaded, api, target)
        for source in sources
        for target in targets
        for api in loaded.apis.values()
        if api.framework == source and target != source and api.exists
    ]


def _entry(loaded: MappingSet, api: Api, target: Framework) -> MatrixEntry:
    found = plans(loaded, api, (), candidates(loaded, api, target))
    if not found:
        return MatrixEntry(api.name, None, None, None, _absent(loaded, api, target), None)
    chosen = choose(found, Prefer.AUTO)
    if chosen is None:
        first = found[0]
        return MatrixEntry(
            api.name, first.target.name, level(first), _usually(first), _refused(first), None, word="refused"
        )
    others = [choose(found, prefer) for prefer in (Prefer.FAITHFUL, Prefer.DOCUMENTED)]
    faithful, documented = [plan.target.name if plan and plan is not chosen else None for plan in others]
    word = "same" if not chosen.causes else "differs" if chosen.divergent else "close"
    measured = level(chosen), _usually(chosen), agreement(chosen)
    return MatrixEntry(api.name, chosen.target.name, *measured, faithful, documented, word)


def _refused(item: Plan) -> str:
    """Why a counterpart cannot express the defaults, and what to do."""
    reasons = (
        f"{problem.message}{f'; {problem.remedy.partition(chr(10))[0]}' if problem.remedy else ''}"
        for problem in item.problems
    )
    return f"refused at the defaults: {'; '.join(reasons)}"


def _absent(loaded: MappingSet, api: Api, target: Framework) -> str:
    """The statement that a class has no counterpart, with the tables' advice."""
    instead = (loaded.instead(api, target) or "").partition("\n")[0]
    return f"no counterpart in {target}{f': {instead}' if instead else ''}"


def measured(item: Plan) -> Measured | None:
    """The measurement of a pair at the defaults; None for versions other than those that the tables were verified with."""
    found = measurements()
    if found is None or item.source.version or item.target.version:
        return None
    return found.pairs.get((item.source.name, item.target.name))


def level(item: Plan) -> str | None:
    """The measured level of a pair; NOT_RUN where the tables say that one of the classes cannot run."""
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
    """How two update rules compare at the defaults: same, close or divergent, with the traits in which they differ."""
    traits = ", ".join(cause.trait for cause in item.causes)
    if not item.causes:
        return "same"
    return f"{'divergent' if item.divergent else 'close'} ({traits})"


def _show_words(entries: list[MatrixEntry]) -> None:
    """Print one line and one word for each pair."""
    widths = [max((len(getattr(item, key) or "-") for item in entries), default=0) for key in ("source", "target")]
    for item in entries:
        print(f"{item.source:<{widths[0]}}  {item.target or '-':<{widths[1]}}  {item.word}")


def _show_plain(entries: list[MatrixEntry]) -> None:
    """Print one line per pair, for files and pipes."""
    widths = [
        max((len(getattr(item, key) or "-") for item in entries), default=0) for key in ("source", "target", "level")
    ]
    for item in entries:
        details = "".join(f"  {text}" for text in _details(item))
        cells = (item.source, item.target or "-", item.level or "-")
        print(
            *(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)),
            f"{item.agreement}{details}",
            sep="  ",
        )


def _details(item: MatrixEntry) -> list[str]:
    """The texts that follow the agreement."""
    preferred = [f"{name}: {other}" for name in _PREFERENCES if (other := getattr(item, name)) is not None]
    return [*([item.usually] if item.usually else []), *preferred]


def _show_rich(entries: list[MatrixEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if console.width < _WIDE:
        return _show_narrow(entries, console.width)
    table = Table()
    for heading in (
        "source",
        "target",
        "measured",
        "expected at the defaults",
        *map("--prefer {}".format, _PREFERENCES),
    ):
        table.add_column(heading, overflow="fold")
    for item in entries:
        table.add_row(
            item.source, item.target or "-", item.usually or item.level or "-", item.agreement, item.faithful or "",
            item.documented or "",
        )  # fmt: skip
    console.print(table)
    return None


def _show_narrow(entries: list[MatrixEntry], width: int) -> None:
    """Print each class on a line of its own and its counterparts below it, wrapped to the width."""
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
        text = "; ".join([text, *_details(item)])
        print(
            textwrap.fill(text, max(width, 20), initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False)
        )

"""`optmap list`: every class and its counterparts, with how far their update rules agree at the defaults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from optmap.commands.common import choice, framework, reports_usage_errors, tables
from optmap.mapping.derive import candidates, plan
from optmap.mapping.model import Framework, MappingSet
from optmap.mapping.plan import Plan, choose


class Entry(NamedTuple):
    """One cell of the matrix. `agreement` is what the tables lead to expect at the defaults."""

    source: str
    target: str | None
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
        keys = ("source", "target", "agreement", "faithful")
        print(
            json.dumps(
                {"version": 1, "pairs": [{key: getattr(item, key) for key in keys} for item in entries]}, indent=2
            )
        )
    elif sys.stdout.isatty():
        _show_rich(entries)
    else:
        widths = [max((len(getattr(item, key) or "-") for item in entries), default=0) for key in ("source", "target")]
        for item in entries:
            better = f"  faithful: {item.faithful}" if item.faithful else ""
            print(f"{item.source:<{widths[0]}}  {item.target or '-':<{widths[1]}}  {item.agreement}{better}")
    return 0


def matrix(loaded: MappingSet, sources: list[Framework], targets: list[Framework]) -> list[Entry]:
    """Derive the cells for the given frameworks, in the order of the tables."""
    found = []
    for api in loaded.apis.values():
        for target in targets:
            if api.framework not in sources or target is api.framework:
                continue
            plans = [plan(loaded, api, (), each) for each in candidates(loaded, api, target)]
            chosen = choose(plans, faithful=False)
            better = choose(plans, faithful=True)
            faithful = better.target.name if chosen and better and better.target is not chosen.target else None
            preferred = chosen or next(iter(plans), None)
            if preferred is None:
                found.append(Entry(api.name, None, f"no counterpart in {target}", None))
            else:
                words = agreement(chosen) if chosen else refused(preferred)
                found.append(Entry(api.name, preferred.target.name, words, faithful))
    return found


def refused(item: Plan) -> str:
    """Say what at the defaults keeps a class from taking a call."""
    names = dict.fromkeys(problem.hyperparameter for problem in item.problems)
    return f"refused at the defaults ({', '.join(names)})"


def agreement(item: Plan) -> str:
    """Say in a word how two update rules compare at the defaults, with the traits in which they differ."""
    traits = ", ".join(cause.trait for cause in item.causes)
    if not item.causes:
        return "same"
    return f"{'divergent' if item.divergent else 'close'} ({traits})"


def _show_rich(entries: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("source", "target", "at the defaults", "--faithful"):
        table.add_column(heading, overflow="fold")
    for item in entries:
        table.add_row(item.source, item.target or "-", item.agreement, item.faithful or "")
    Console(highlight=False).print(table)

"""What `optmap explain` shows of two classes or schedules, and how: as Markdown, on a terminal, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from optmap.mapping.framework import Framework
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.mapping.vocabulary import Parameter
from optmap.values import NamedTuple


class Row(NamedTuple):
    """One line of a comparison: a parameter of the source, its counterpart in the target, and how they differ."""

    source: str
    target: str
    difference: str


class Comparison(NamedTuple):
    """A class or schedule and its counterpart in another framework.

    Attributes:
        source: what is explained.
        framework: the other framework.
        target: the counterpart; None where there is none.
        rows: the parameters side by side.
        sections: further texts by title; those that are empty are left out.
        details: further keys of the JSON.
        about: what the source is, where it has no counterpart.
    """

    source: Api
    framework: Framework
    target: Api | None
    rows: Sequence[Row]
    sections: Mapping[str, Sequence[str]]
    details: Mapping[str, Any]
    about: str = ""

    @property
    def heading(self) -> str:
        return f"{self.source.label} -> {self.target.label if self.target else self.framework}"

    @property
    def shown(self) -> list[tuple[str, Sequence[str]]]:
        """The sections with text."""
        pages = [api.docs for api in (self.source, self.target) if api is not None and api.docs]
        return [(title, texts) for title, texts in {**self.sections, "Documentation": pages}.items() if texts]


def signature(parameter: Parameter) -> str:
    """A parameter with its default."""
    return parameter.name if parameter.required else f"{parameter.name}={write_literal(parameter.default)}"  # type: ignore[arg-type]


def constructor(api: Api) -> list[str]:
    """The signature of a class as one writes it, a parameter on each line."""
    lines, only = [], False
    for parameter in api.current:
        if parameter.keyword_only and not only:
            lines.append("    *,")
        only = only or parameter.keyword_only
        lines.append(f"    {signature(parameter)},")
    return [f"{api.name}(", *lines, ")"]


def flat(advice: str | None) -> str | None:
    """Advice of the tables on one line, with what stands below the first."""
    first, _, more = (advice or "").partition("\n")
    return f"{first}. {more}" if more else advice


def show(found: Sequence[Comparison], format: str) -> None:
    """Print comparisons as JSON or HTML, or as tables: of Rich on a terminal, of Markdown elsewhere."""
    if format == "html":
        from optmap.report.check_html import explained

        print(explained(map(_values, found)), end="")
    elif format == "json":
        print(json.dumps({"version": 1, "pairs": list(map(_as_dict, found))}, indent=2))
    elif format == "text" and sys.stdout.isatty():
        _show_rich([item for item in found if item.target])
        print("\n".join(markdown(item) for item in found if not item.target), end="")
    else:
        print("\n".join(markdown(item, signatures=True) for item in found), end="")


def _values(item: Comparison) -> dict[str, Any]:
    """What the HTML page shows of a comparison."""
    apis = (item.source, item.target) if item.target is not None else ()
    return {
        "heading": item.heading,
        "source": item.source.name,
        "target": item.target.name if item.target is not None else None,
        "about": item.about,
        "signatures": [constructor(api) for api in apis if api is not None],
        "rows": item.rows,
        "sections": item.shown,
    }


def _as_dict(item: Comparison) -> dict[str, Any]:
    return {
        "source": item.source.name,
        "target": item.target.name if item.target is not None else None,
        "framework": str(item.framework),
        "rows": [row._asdict() for row in item.rows],
        **item.details,
    }


def markdown(item: Comparison, *, signatures: bool = False) -> str:
    """A comparison as a section of a Markdown page."""
    lines = [f"## {item.heading}", ""]
    for api in (item.source, item.target) if signatures and item.target is not None else ():
        lines += ["```python", *constructor(api), "```", ""]
    if item.target is None:
        lines.append(f"No counterpart.{f' {item.about}' if item.about else ''}")
    else:
        table = [Row(item.source.name, item.target.name, "difference"), *item.rows]
        widths = [max(len(row[place]) for row in table) for place in (0, 1)]
        shown = [f"| {row.source:<{widths[0]}} | {row.target:<{widths[1]}} | {row.difference} |" for row in table]
        lines += [shown[0], f"| {'-' * widths[0]} | {'-' * widths[1]} | --- |", *shown[1:]]
    for title, texts in item.shown:
        lines += ["", f"{title}:", *(f"- {text}" for text in texts)]
    return "\n".join(lines) + "\n"


def _show_rich(found: Sequence[Comparison]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for item in found:
        table = Table(title=item.heading, title_justify="left")
        for heading in (item.source.name, item.target.name if item.target else "", "difference"):
            table.add_column(heading, overflow="fold")
        for row in item.rows:
            table.add_row(*row)
        for api in (item.source, item.target) if item.target is not None else ():
            console.print("\n".join(constructor(api)), style="dim", markup=False)
        console.print(table, markup=False)
        for title, texts in item.shown:
            console.print(f"{title}:", style="bold")
            for text in texts:
                console.print(f"  - {text}", markup=False)
        console.print()

"""Writes the pages: one for each pair of classes, an index with the matrix, and the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from optmap.commands.comparison import Comparison, Row, constructor
from optmap.commands.explain import compare
from optmap.conformance.api import check
from optmap.conformance.results import Report
from optmap.diagnostics import CODES
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.pages.examples import Example, program, run
from optmap.report.check_html import figures
from optmap.report.check_summary import Summary, summaries

_TEMPLATES: Final = Path(__file__).with_name("templates")


_ELSEWHERE: Final = ("Documentation", "Measured at the defaults")
"""Sections of a comparison that stand at other places of a page."""


class Page(NamedTuple):
    """A pair of classes: what was measured of it, and the two programs with their output."""

    summary: Summary
    source: Api
    target: Api
    examples: tuple[Example, Example]

    @property
    def path(self) -> str:
        """The page's address below the directory of the pages."""
        folder = f"{self.source.framework}-to-{self.target.framework}"
        return f"{folder}/{_slug(self.source.name)}--{_slug(self.target.name)}.md"


def write(tables: MappingSet, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The pages as (path, text): of the named source classes, or of every class that has a counterpart."""
    found = _measured(tables, names)
    listed = summaries(found)
    pages = list(_pages(tables, listed))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=False, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    template = environment.get_template("pair.md.j2")
    for page in pages:
        yield page.path, template.render(_values(tables, page, found, listed))
    yield "index.md", environment.get_template("index.md.j2").render(_index(pages))
    yield "rules.md", environment.get_template("rules.md.j2").render(codes=list(CODES.values()))


def _measured(tables: MappingSet, names: Sequence[str]) -> Report:
    """Every class at its defaults against every framework."""
    chosen = list(names) or [api.name for api in tables.apis.values() if api.exists]
    frameworks = list(tables.frameworks.values())
    reports = [
        check(others, to=target, tables=tables, courses=True)
        for target in frameworks
        if (others := [name for each in frameworks if each != target for name in chosen if _of(tables, name) == each])
    ]
    engines = {name: version for each in reports for name, version in each.engines.items()}
    return Report(engines, {}, tuple(result for each in reports for result in each.results))


def _of(tables: MappingSet, name: str) -> str:
    return str(tables.apis[name].framework)


def _pages(tables: MappingSet, every: Sequence[Summary]) -> Iterator[Page]:
    """The pairs with their examples, whose programs are run a framework at a time."""
    listed = [
        (item, tables.apis[item.pair.source], tables.apis[item.pair.target])
        for item in every
        if item.pair.source in tables.apis and item.pair.target in tables.apis
    ]
    wanted: dict[str, dict[str, None]] = {}
    programs = []
    for item, source, target in listed:
        sparse = any(api.fixed.get("lazy") is True for api in (source, target))
        calls = (source, item.pair.hyperparameters), (target, item.pair.arguments)
        both = tuple(program(api, given, sparse=sparse) for api, given in calls)
        programs.append(both)
        for api, text in zip((source, target), both, strict=True):
            wanted.setdefault(api.framework, {})[text] = None
    outcomes = {framework: {done.program: done for done in run(list(texts))} for framework, texts in wanted.items()}
    for (item, source, target), (one, other) in zip(listed, programs, strict=True):
        examples = outcomes[source.framework][one], outcomes[target.framework][other]
        yield Page(item, source, target, examples)


def _values(tables: MappingSet, page: Page, report: Report, listed: Sequence[Summary]) -> dict[str, Any]:
    """What the template of a pair is given."""
    every = compare(tables, page.source, page.target.framework)
    comparison = next(item for item in every if item.target == page.target)
    return {
        "source": page.source,
        "target": page.target,
        "titles": (page.source.framework.facts.title, page.target.framework.facts.title),
        "signatures": ("\n".join(constructor(page.source)), "\n".join(constructor(page.target))),
        "rows": list(_rows(tables, comparison)),
        "sections": [(title, texts) for title, texts in comparison.shown if title not in _ELSEWHERE],
        "formula": page.summary.pair.formula,
        "traits": [(api.name, _traits(tables, api)) for api in (page.source, page.target)],
        "examples": page.examples,
        "summary": page.summary,
        "levels": [(str(level), [run.scenario for run in runs]) for level, runs in page.summary.by_level()],
        "figures": figures(page.summary),
        "faithful": [name for name in _faithful(listed, page) if name != page.target.name],
        "engines": [f"{name} {version}" for name, version in report.engines.items() if version],
    }


def _faithful(listed: Sequence[Summary], page: Page) -> list[str]:
    """The classes of the target's package that --prefer faithful chooses for the same source."""
    mine = [item.pair for item in listed if item.pair.source == page.source.name and item.pair.chosen_faithful]
    return [pair.target for pair in mine if pair.target.partition(".")[0] == page.target.name.partition(".")[0]]


def _rows(tables: MappingSet, comparison: Comparison) -> Iterator[tuple[str, Row, str]]:
    """The parameters side by side, each with its category and its meaning; then what a step is given."""
    for row in comparison.rows:
        apis = [(row.source, comparison.source), (row.target, comparison.target)]
        found = (_meaning(tables, api, text.partition("=")[0]) for text, api in apis if api is not None)
        category, meaning = next((each for each in found if each), ("hyperparameter", ""))
        yield category, row._replace(difference=row.difference.replace(f" ({meaning})", "")), meaning


def _meaning(tables: MappingSet, api: Api, name: str) -> tuple[str, str] | None:
    """What the parameter of a class sets, and of what kind that is."""
    parameter = next((each for each in api.current if each.name == name), None)
    if parameter is None:
        return None
    if parameter.is_parameters:
        return "parameters", "what is trained"
    names = parameter.ties or tuple(parameter.switches.values()) or (parameter.name,)
    about = "; ".join(tables.hyperparameters[tie].about for tie in names if tie in tables.hyperparameters)
    return ("execution", about or "how the update is carried out") if parameter.execution else ("hyperparameter", about)


def _traits(tables: MappingSet, api: Api) -> list[str]:
    """What distinguishes a class within the formula of its algorithm, in words."""
    return [tables.traits[name].values[value] for name, value in api.rule.items() if name in tables.traits]


def _index(pages: Sequence[Page]) -> dict[str, Any]:
    groups: dict[tuple[str, str], list[Page]] = {}
    for page in pages:
        titles = page.source.framework.facts.title, page.target.framework.facts.title
        groups.setdefault(titles, []).append(page)
    return {"groups": list(groups.items())}


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)

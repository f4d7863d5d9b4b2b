"""The optimizer and schedule calls of a user's file with the values written in it. The file is parsed, never executed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from optmap.conformance.calls import Call, completed, sample
from optmap.conformance.results import Refused
from optmap.conformance.select import CheckError
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.records import Literal
from optmap.mapping.values import Value, read_value
from optmap.mapping.vocabulary import Parameter
from optmap.source.calls import read_call
from optmap.source.text import Source, SourceError, read_source
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call
from optmap.translate.discover.sites import CallSite, Sites, find_sites
from optmap.translate.findings import ignored_lines, position
from optmap.translate.options import Options
from optmap.translate.parameters.reader import read_parameters
from optmap.translate.pipeline import translate_parsed
from optmap.translate.schedules.translate import TranslatedSchedule
from optmap.translate.schedules.translations import translate_schedules
from optmap.translate.unit import Unit

Samples: TypeAlias = Callable[[Parameter], Any]
"""A value for a parameter without a default; None where there is none."""


class FileCalls:
    """The calls of files, the calls that cannot be checked, and the names of the settings that were used."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.refused: list[Refused] = []
        self.used: set[str] = set()

    def add(self, reader: _Reader, target: Framework, chosen: str = "") -> None:
        """Read a call, and add it or the reason why it cannot be read."""
        name, origin = reader.site.api.name, reader.origin
        try:
            made = reader.call()
        except Exception as error:
            self.refused.append(Refused.by_error(error, name, target, {}, origin))
            return
        if isinstance(made, Refusal):
            self.refused.append(Refused(name, target, {}, origin, tuple(reason.message for reason in made.reasons)))
            return
        self.calls.append(made._replace(target=chosen))
        self.used |= reader.used


def file_calls(
    path: Path, tables: MappingSet, sources: Collection[Framework], target: Framework, settings: Mapping[str, Literal]
) -> FileCalls:
    """The optimizer calls of one file. Raises CheckError.

    `settings` gives values to arguments that the file does not show, by the text of the expression (`args.lr`) or by the
    name of the argument. All other unknown values are taken from the defaults, with a note in the call.
    """
    source, sites = read_file(path, tables, sources, target)
    found = FileCalls()
    chosen: Mapping[tuple[int, int], str] = {}
    try:
        chosen = _targets(source, tables, sources, target)
    except Exception as error:
        found.refused.append(Refused.by_error(error, "the translation of this file", target, {}, str(path)))
    for site in sites.calls:
        reader = _Reader(path, source, site, settings, partial(sample, tables))
        found.add(reader, target, chosen.get(position(source, source.start(site.node)), ""))
    found.calls = [call._replace(given=completed(tables, call.api, call.given)) for call in found.calls]
    return found


def file_schedules(
    path: Path, tables: MappingSet, sources: Collection[Framework], target: Framework, settings: Mapping[str, Literal],
    quantities: tuple[tuple[str, int], ...], samples: Samples,
) -> FileCalls:  # fmt: skip
    """The schedules of one file that the translator translates. Raises CheckError."""
    source, sites = read_file(path, tables, sources, target)
    found = FileCalls()
    if not sites.schedules:
        return found
    options = Options(target, frozenset(sources), quantities=quantities)
    try:
        schedules = translate_schedules(Unit(source, sites, tables, options, ignored_lines(source)), {})
    except Exception as error:
        found.refused.append(Refused.by_error(error, "the translation of this file's schedules", target, {}, str(path)))
        return found
    for site in schedules.calls:
        made, reader = schedules.of(site), _Reader(path, source, site, settings, samples)
        if isinstance(made, TranslatedSchedule):
            found.add(reader, target)
        else:
            found.refused.append(Refused(site.api.name, target, {}, reader.origin, (made,)))
    return found


def _targets(
    source: Source, tables: MappingSet, sources: Collection[Framework], target: Framework
) -> dict[tuple[int, int], str]:
    """The class that the translator chooses for each call, by line and column, without calls that it leaves unchanged."""
    result = translate_parsed(b"", source, tables, Options(target, frozenset(sources), prove=False))
    return {(call.line, call.column): call.target for call in result.calls if call.target is not None}


def _read(path: Path) -> Source:
    """Read a script or notebook. Raises OSError or SourceError."""
    data = path.read_bytes()
    if path.suffix == ".ipynb":
        from optmap.translate.notebook import notebook_source

        return notebook_source(data)
    return read_source(data)


def read_file(
    path: Path, tables: MappingSet, sources: Collection[Framework], target: Framework
) -> tuple[Source, Sites]:
    """Parse a file and find its optimizer calls. Raises CheckError."""
    try:
        source = _read(path)
        return source, find_sites(source, tables, sources, target)
    except OSError as error:
        raise CheckError(f"{path} cannot be read: {error.strerror}") from None
    except SourceError as error:
        raise CheckError(f"{path}:{error.line}:{error.column}: {error.message}") from None


class _Reader:
    """Finds the values of one call's arguments."""

    def __init__(
        self, path: Path, source: Source, site: CallSite, settings: Mapping[str, Literal], samples: Samples
    ) -> None:
        self.source = source
        self.site = site
        self.settings = settings
        self.samples = samples
        self.used: set[str] = set()
        cell, line = source.cell_line(site.node.lineno)
        self.origin = f"{path}:{line}" if cell is None else f"{path}:cell {cell}:{line}"

    def call(self) -> Call | Refusal:
        """The call, or why it cannot be bound."""
        written = read_call(self.source, self.site.node).arguments
        nodes = [argument.node for argument in written]
        values = [read_value(self._followed(node)) for node in nodes]
        arguments = [CallArgument(item.form, item.name, value) for item, value in zip(written, values, strict=True)]
        bound = bind_call(self.site.api, arguments)
        if isinstance(bound, Refusal):
            return bound
        given: dict[str, Literal] = {}
        assumed: list[str] = []
        for item in bound:
            if item.parameter.is_parameters and self._has_groups(nodes[item.index]):
                assumed.append(
                    "the parameter groups of this call were left out: all parameters get the call's own values"
                )
            if item.parameter.is_parameters or item.parameter.execution:
                continue
            found = self._value(item.parameter, item.value, nodes[item.index])
            if found is None:
                name, missing = item.parameter.name, item.parameter.default
                value = self.samples(item.parameter) if item.parameter.required else missing
                text = ast.unparse(nodes[item.index])
                assumed.append(f"{name}={value!r} assumed for {text}; --set {name}=VALUE changes it")
            else:
                given[item.parameter.name] = found[0]
        return Call(self.site.api, given, tuple(assumed), self.origin)

    def _has_groups(self, node: ast.expr) -> bool:
        found = read_parameters(self.source, node, self.site.api.framework)
        return found.groups is not None or found.unreadable is not None

    def _value(self, parameter: Parameter, value: Value, node: ast.expr) -> tuple[Literal] | None:
        """The value in a tuple of one (it may be None itself); None where it is not known."""
        for name in (ast.unparse(node), parameter.name):
            if name in self.settings:
                self.used.add(name)
                return (self.settings[name],)
        return (value.literal,) if value.known else None  # type: ignore[return-value]

    def _followed(self, node: ast.expr) -> ast.expr:
        """A copy of the expression with constants in place of the names that surely hold them where it stands."""
        names = (item for item in ast.walk(node) if isinstance(item, ast.Name))
        constants = {id(item): value for item in names if (value := self._constant(item)) is not None}
        return copy.deepcopy(node, dict(constants)) if constants else node

    def _constant(self, node: ast.Name) -> ast.expr | None:
        values, complete, _ = self.site.module.reaching(node)
        return values[0] if complete and len(values) == 1 and read_value(values[0]).known else None

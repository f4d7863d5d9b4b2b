"""The optimizer and schedule calls of a user's file with the values written in it. The file is parsed, never executed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from optmap.conformance.calls import Call, Groups, completed, sample, sample_of
from optmap.conformance.filevalues import FileValues, KnownValue
from optmap.conformance.results import Assumed, Refused
from optmap.conformance.select import CheckError
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import group_ties
from optmap.mapping.records import Literal
from optmap.mapping.values import Value, literal_value
from optmap.mapping.vocabulary import Parameter
from optmap.reading import read_source_file
from optmap.shown import shown
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
        self.used |= reader.values.used


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
        reader = _Reader(path, source, site, settings, tables, partial(sample, tables))
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
        made, reader = schedules.of(site), _Reader(path, source, site, settings, tables, samples)
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
    data = read_source_file(path)
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
        self,
        path: Path,
        source: Source,
        site: CallSite,
        settings: Mapping[str, Literal],
        tables: MappingSet,
        samples: Samples,
    ) -> None:
        self.source = source
        self.site = site
        self.tables = tables
        self.samples = samples
        self.values = FileValues(source, settings)
        cell, line = source.cell_line(site.node.lineno)
        self.origin = f"{shown(path)}:{line}" if cell is None else f"{shown(path)}:cell {cell}:{line}"

    def call(self) -> Call | Refusal:
        """The call, or why it cannot be bound."""
        written = read_call(self.source, self.site.node).arguments
        nodes = [argument.node for argument in written]
        known = [self.values.read(node) for node in nodes]
        arguments = [CallArgument(item.form, item.name, each.value) for item, each in zip(written, known, strict=True)]
        bound = bind_call(self.site.api, arguments)
        if isinstance(bound, Refusal):
            return bound
        given: dict[str, Literal] = {}
        assumed: list[Assumed] = []
        missing: list[tuple[Parameter, int]] = []
        groups: Groups | None = None
        for item in bound:
            if item.parameter.is_parameters:
                groups = self._groups(nodes[item.index], assumed)
            elif not item.parameter.execution:
                found = self._value(item.parameter, known[item.index])
                if not found.value.known:
                    missing.append((item.parameter, item.index))
                    continue
                value: Any = found.value.literal
                given[item.parameter.name] = value
                if found.why:
                    assumed.append(Assumed(item.parameter.name, value, ast.unparse(nodes[item.index]), found.why))
        for parameter, index in missing:
            value, why = self._likely(parameter, known[index].value, given)
            assumed.append(Assumed(parameter.name, value, ast.unparse(nodes[index]), why))
            if value is not None and value != parameter.default:
                given[parameter.name] = value
        return Call(self.site.api, given, tuple(assumed), self.origin, groups=groups)

    def _value(self, parameter: Parameter, found: KnownValue) -> KnownValue:
        """What is known of an argument; the user's word counts most."""
        settings = self.values.settings
        if parameter.name not in settings:
            return found
        self.values.used.add(parameter.name)
        return KnownValue(literal_value(settings[parameter.name]))

    def _likely(self, parameter: Parameter, value: Value, given: Mapping[str, Literal]) -> tuple[Any, str]:
        """A value for what the file does not show, and why this one.

        It is the default, but for what another argument is nothing without, such as the momentum of nesterov=True, which the
        framework may reject. The items of a tuple that are known stay.
        """
        if parameter.required:
            return self.samples(parameter), "an example"
        default: Any = parameter.default
        if value.elements is not None and isinstance(default, tuple) and len(default) == len(value.elements):
            items = zip(value.elements, default, strict=True)
            return tuple(item.literal if item.known else old for item, old in items), "the class's default"
        if self._is_needed(parameter, given) and self.tables.hyperparameters[parameter.ties[0]].is_neutral(default):
            return (not default if isinstance(default, bool) else sample(self.tables, parameter)), "an example"
        return default, "the class's default"

    def _is_needed(self, parameter: Parameter, given: Mapping[str, Literal]) -> bool:
        """Whether an argument with a value of its own does nothing without this parameter."""
        for name, value in given.items():
            ties = self.site.api.by_name[name].ties
            row = self.tables.hyperparameters.get(ties[0]) if len(ties) == 1 else None
            if row is not None and row.inert_without in parameter.ties and not row.is_neutral(value):
                return True
        return False

    def _groups(self, node: ast.expr, assumed: list[Assumed]) -> Groups | None:
        """What each group of a call sets; what is not known is left to the scenario. None where the call has no groups."""
        found = read_parameters(self.source, node, self.site.api.framework)
        if found.unreadable is not None:
            text = ast.unparse(found.unreadable)
            assumed.append(Assumed("", None, text, "its keys cannot be read; run as a group that changes nothing"))
            return ((),)
        if found.groups is None:
            return None
        made: dict[int, dict[str, Literal]] = {}
        for entry in found.entries:
            group = made.setdefault(id(self.values.module.parent(entry.node)), {})
            if entry.key == "params" or not entry.sets:
                continue
            value = self.values.read(entry.value)
            likely: Any = value.value.literal if value.value.known else self._in_group(entry.key)
            if value.why or not value.value.known:
                why = value.why or "an example"
                place = next(i for i, other in enumerate(made.values()) if other is group)
                assumed.append(Assumed(entry.key, likely, ast.unparse(entry.value), why, place))
            group[entry.key] = likely
        return tuple(tuple(group.items()) for group in made.values())

    def _in_group(self, key: str) -> Literal:
        """An example of a group's key, other than the default."""
        row = self.site.api.by_name.get(key)
        if row is None or not row.ties:
            return sample_of(self.tables, group_ties(self.site.api, key))
        return row.default if isinstance(row.default, bool | tuple) else sample(self.tables, row)

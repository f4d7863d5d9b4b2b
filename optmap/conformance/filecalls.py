"""The optimizer calls of a user's file with the values written in it. The file is parsed, never executed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from optmap.conformance.calls import Call, completed, sample
from optmap.conformance.results import Refused
from optmap.conformance.select import CheckError
from optmap.mapping.model import Framework, MappingSet, Parameter
from optmap.mapping.records import Literal
from optmap.mapping.values import Value, read_value
from optmap.source.calls import CallText, read_call
from optmap.source.text import Source, SourceError, read_source
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call
from optmap.translate.discover.sites import CallSite, Sites, find_sites
from optmap.translate.findings import position
from optmap.translate.options import Options
from optmap.translate.parameters.reader import read_parameters
from optmap.translate.pipeline import translate_parsed

Samples: TypeAlias = Callable[[Parameter], Any]
"""A value for a parameter without a default; None where there is none."""


def file_calls(
    path: Path, tables: MappingSet, sources: Collection[Framework], target: Framework, settings: Mapping[str, Literal]
) -> tuple[list[Call], list[Refused], set[str]]:
    """The calls of one file, the calls whose arguments cannot be bound, and the names of the settings that were used.

    `settings` gives values to arguments that the file does not show, by the text of the expression (`args.lr`) or by the
    name of the argument. All other unknown values are taken from the defaults, with a note in the call. Raises CheckError.
    """
    source, found = read_file(path, tables, sources, target)
    read = [(site, read_call(source, site.node)) for site in found.calls]
    made_of = _targets(source, tables, sources, target)
    calls: list[Call] = []
    refused: list[Refused] = []
    used: set[str] = set()
    for site, text in read:
        reader = _Reader(source, site, text, settings, partial(sample, tables))
        cell, line = source.cell_line(site.node.lineno)
        origin = f"{path}:{line}" if cell is None else f"{path}:cell {cell}:{line}"
        made = reader.call(origin)
        if isinstance(made, Call):
            chosen = made_of.get(position(source, source.start(site.node)), "")
            calls.append(replace(made, given=completed(tables, site.api, made.given), target=chosen))
            used |= reader.used
        else:
            reasons = tuple(reason.message for reason in made.reasons)
            refused.append(Refused(site.api.name, target, {}, origin, reasons))
    return calls, refused, used


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


def read_literals(
    source: Source, site: CallSite, text: CallText, settings: Mapping[str, Literal], samples: Samples, origin: str
) -> tuple[Call | Refusal, set[str]]:
    """A call with the values written in the file or given by `settings`, and the names of the settings that were used.

    Returns a refusal in place of the call where its arguments cannot be bound.
    """
    reader = _Reader(source, site, text, settings, samples)
    return reader.call(origin), reader.used


class _Reader:
    """Finds the values of one call's arguments."""

    def __init__(
        self, source: Source, site: CallSite, text: CallText, settings: Mapping[str, Literal], samples: Samples
    ) -> None:
        self.source = source
        self.site = site
        self.text = text
        self.settings = settings
        self.samples = samples
        self.used: set[str] = set()

    def call(self, origin: str) -> Call | Refusal:
        """The call, or why it cannot be bound."""
        nodes = [argument.node for argument in self.text.arguments]
        values = [read_value(self._followed(node)) for node in nodes]
        arguments = [
            CallArgument(item.form, item.name, value) for item, value in zip(self.text.arguments, values, strict=True)
        ]
        bound = bind_call(self.site.api, arguments)
        if isinstance(bound, Refusal):
            return bound
        given: dict[str, Literal] = {}
        assumed: list[str] = []
        for item in bound:
            if item.parameter.is_parameters and self._has_groups(nodes[item.index]):
                assumed.append(
                    "the parameter groups of this call were left out: every parameter gets the call's own values"
                )
            if item.parameter.is_parameters or item.parameter.execution:
                continue
            found = self._value(item.parameter, item.value, nodes[item.index])
            if found is None:
                assumed.append(self._assumption(item.parameter, ast.unparse(nodes[item.index])))
            else:
                given[item.parameter.name] = found[0]
        return Call(self.site.api, given, tuple(assumed), origin)

    def _assumption(self, parameter: Parameter, text: str) -> str:
        value = self.samples(parameter) if parameter.required else parameter.default
        return f"{parameter.name}={value!r} assumed for {text}; --set {parameter.name}=VALUE changes it"

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

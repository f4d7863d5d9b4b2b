"""Compares tables with live signatures. Pure: no framework is imported and nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.audit.results import (
    Difference,
    DifferenceKind,
    Live,
    LiveClass,
    LiveModule,
    LiveParameter,
    UnlistedMember,
    Unverified,
)
from optmap.audit.signature import literal, same_source
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import OptimizerModule
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.versions import holds
from optmap.mapping.vocabulary import Parameter
from optmap.shown import count


def differences(tables: MappingSet, framework: Framework, live: Live) -> Iterator[Difference]:
    """All differences between the sections of a framework and its live modules, module by module in table order."""
    for module in modules_of(tables, framework):
        found = live.modules.get(module.name)
        if found is None or found.absent is not None or found.broken is not None:
            continue
        apis = sections_of(tables, module)
        if found.gone:
            apis = [api for api in apis if _expected(api, found.version)]
            yield from [_module_gone(module, apis, found.version)] if apis else []
            continue
        for api in apis:
            yield from compare_class(api, found.classes.get(api.class_name), found.version)
        yield from (_unknown(module, item) for item in found.unlisted)


def modules_of(tables: MappingSet, framework: Framework) -> list[OptimizerModule]:
    """The framework's modules that there still are, in table order."""
    return [module for module in tables.modules.values() if module.framework == framework and not module.until]


def sections_of(tables: MappingSet, module: OptimizerModule) -> list[Api]:
    """The module's sections, in table order."""
    return [api for api in tables.apis.values() if api.module.name == module.name]


def unverified(tables: MappingSet, modules: dict[str, LiveModule]) -> tuple[Unverified, ...]:
    """Counts of the sections whose class is installed in another version than the section was verified with."""
    found: Counter[tuple[str, str, str]] = Counter()
    for name, module in modules.items():
        for class_name, live in module.classes.items():
            api = tables.apis.get(f"{name}.{class_name}")
            if api is not None and live is not None and api.verified.partition("+")[0] != live.version:
                found[live.package, api.verified, live.version] += 1
    return tuple(Unverified(*key, count) for key, count in found.items())


def merged(one: tuple[Unverified, ...], other: tuple[Unverified, ...]) -> tuple[Unverified, ...]:
    """Both counts as one."""
    found: Counter[tuple[str, str, str]] = Counter()
    for item in (*one, *other):
        found[item[:3]] += item.sections
    return tuple(Unverified(*key, count) for key, count in found.items())


def compare_class(api: Api, live: LiveClass | None, version: str) -> Iterator[Difference]:
    """All differences between a section and the live class; `version` is the installed version of the section's package."""
    installed, expected = f"{api.module.package} {version}", _expected(api, version)
    if live is None:
        if expected:
            table = "the table has a section"
            yield Difference(api.at, DifferenceKind.NO_CLASS, api.name, None, table, f"{installed} has no such class")
        return
    if not expected:
        table = "the table has it for other versions only"
        yield Difference(api.at, DifferenceKind.NEW_CLASS, api.name, None, table, f"{installed} has it")
    yield from _Section(api, live).differences()


def _expected(api: Api, version: str) -> bool:
    """Whether the installed version should have the class by the table; True for a version that is not a number."""
    try:
        return holds(version, api.since, api.until)
    except ValueError:
        return True


KINDS: Final = {"keyword": "keyword-only", "any": "positional or by keyword", "positional": "positional only"}


class _Section:
    """A section beside the live class."""

    def __init__(self, api: Api, live: LiveClass) -> None:
        self.api = api
        self.live = live
        self.name = f"{live.package} {live.version}"
        self.by_name = {parameter.name: parameter for parameter in live.parameters}
        self.taken = {parameter.name: parameter for parameter in live.taken or ()}

    def differences(self) -> Iterator[Difference]:
        """All differences."""
        if self.live.hidden:
            yield self._found(
                DifferenceKind.HIDDEN,
                f"has {count(len(self.api.current), 'parameter')}",
                "hides its signature behind a decorator",
            )
            return
        for row in self.api.current:
            yield from self._parameter(row) if row.name in self.by_name else self._taken(row)
        older = self.api.by_name.keys() - {row.name for row in self.api.current}  # those that are still accepted
        for name in older - self.by_name.keys() - self.taken.keys():
            if not self._may_take(name):
                row = self.api.by_name[name]
                table = f"has it as an older name of {row.name}"
                yield self._found(DifferenceKind.NO_PARAMETER, table, "does not take it", row)._replace(parameter=name)
        yield from self._new_parameters()
        yield from self._order()
        yield from self._extra()

    def _found(self, kind: DifferenceKind, table: str, live: str, row: Parameter | None = None) -> Difference:
        """A difference of the class, or of one of its parameters."""
        at, name = (row.at, row.name) if row else (self.api.at, None)
        return Difference(at, kind, self.api.name, name, f"the table {table}", f"{self.name} {live}")

    def _parameter(self, row: Parameter) -> Iterator[Difference]:
        found, kind = self.by_name[row.name], "keyword" if row.keyword_only else "any"
        same = _default(row) == _live_default(found) if found.literal else same_source(row.default, str(found.default))
        if not same:
            yield self._found(DifferenceKind.DEFAULT, f"has {_default(row)}", f"has {_live_default(found)}", row)
        if kind != found.kind:
            yield self._found(DifferenceKind.KEYWORD_ONLY, f"has it {KINDS[kind]}", f"has it {KINDS[found.kind]}", row)

    def _taken(self, row: Parameter) -> Iterator[Difference]:
        """Compare a row that is not in the signature: the class must read it from its **kwargs."""
        found = self.taken.get(row.name)
        if found is None:
            if not (row.keyword_only and self._may_take(row.name)):
                yield self._found(DifferenceKind.NO_PARAMETER, f"has it with {_default(row)}", "does not take it", row)
            return
        if found.literal and _default(row) != _live_default(found):
            yield self._found(DifferenceKind.DEFAULT, f"has {_default(row)}", f"has {_live_default(found)}", row)
        if not row.keyword_only:
            yield self._found(DifferenceKind.KEYWORD_ONLY, f"has it {KINDS['any']}", "reads it from **kwargs", row)

    def _may_take(self, name: str) -> bool:
        return self.live.extra_keywords and (self.live.taken is None or name in self.live.mentioned)

    def _new_parameters(self) -> Iterator[Difference]:
        old = {row.name: row for row in self.api.parameters if row.name not in self.api.by_name}
        kinds = {"keyword": ", keyword-only", "positional": ", positional only", "any": ""}
        for item in (*self.live.parameters, *self.taken.values()):
            if item.name not in self.api.by_name:
                hidden = kinds[item.kind] if item.name in self.by_name else ", read from **kwargs"
                before = old.get(item.name)
                table = "has it for other versions only" if before else "does not have it"
                live = f"has it with {_live_default(item)}{hidden}"
                yield self._found(DifferenceKind.NEW_PARAMETER, table, live, before)._replace(parameter=item.name)

    def _order(self) -> Iterator[Difference]:
        """Compare the order of the common parameters; one difference, at the first one out of order."""
        rows = [row for row in self.api.current if row.name in self.by_name]
        real = [name for name in self.by_name if name in {row.name for row in rows}]
        wrong = [index for index, (row, name) in enumerate(zip(rows, real, strict=True)) if row.name != name]
        if wrong:
            part = slice(wrong[0], wrong[-1] + 1)
            table = f"has the order {', '.join(row.name for row in rows[part])}"
            found = self._found(DifferenceKind.ORDER, table, f"has {', '.join(real[part])}", rows[wrong[0]])
            yield found._replace(parameter=None)

    def _extra(self) -> Iterator[Difference]:
        if self.api.extra_keywords is not self.live.extra_keywords:
            says = {True: "ends in **kwargs", False: "does not end in **kwargs"}
            table = f"the table's signature {says[self.api.extra_keywords]}"
            live = f"that of {self.name} {says[self.live.extra_keywords]}"
            yield Difference(self.api.at, DifferenceKind.EXTRA_KEYWORDS, self.api.name, None, table, live)
        if self.live.extra_positional:
            text = "accepts any number of positional arguments"
            yield self._found(DifferenceKind.EXTRA_KEYWORDS, "", text)._replace(table="a table cannot have *args")


def _module_gone(module: OptimizerModule, apis: Sequence[Api], version: str) -> Difference:
    table = f"the tables have {count(len(apis), 'section')} in it"
    return Difference(
        module.at,
        DifferenceKind.NO_MODULE,
        module.name,
        None,
        table,
        f"{module.package} {version} has no {module.paths[0]}",
    )


def _unknown(module: OptimizerModule, item: UnlistedMember) -> Difference:
    where, _, short = item.path.rpartition(".")
    inside = item.path.removeprefix(f"{module.paths[0]}.")
    name = item.path if inside == item.path else f"{module.name}.{inside}"
    live = f"{where} has the {'class' if item.is_class else 'function'} {short}{item.signature}"
    if item.same_as is not None:
        live = f"{where} has it as another name of {item.same_as}"
    return Difference(module.at, DifferenceKind.NEW_CLASS, name, None, "no table describes it", live)


def _default(row: Parameter) -> str:
    return "no default" if row.required else f"default {literal(row.default)}"


def _live_default(found: LiveParameter) -> str:
    return "no default" if found.default is None else f"default {found.default}"
